#include "population.hpp"

#include <atomic>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

#include "berth/support/status.hpp"

namespace berth::bench {
namespace {

// Calls `task` for 0 … count-1 in `width` threads until all are done or one has failed.
absl::Status inParallel(int count, int width, const std::function<absl::Status(int)>& task) {
  std::atomic<int> next = 0;
  std::mutex mutex;
  absl::Status first;
  std::atomic<bool> failed = false;
  const auto work = [&] {
    for (int i = next++; i < count && !failed; i = next++) {
      const absl::Status status = task(i);
      if (status.ok()) continue;
      failed = true;
      const std::lock_guard lock(mutex);
      first.Update(status);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < width; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return first;
}

absl::Status startPod(CriClient& client, const PodSpec& spec, RunningPod& running) {
  BERTH_ASSIGN_OR_RETURN(running.pod, client.runPod(spec));
  BERTH_ASSIGN_OR_RETURN(running.container, client.createContainer(spec, running.pod));
  return client.startContainer(running.container);
}

absl::Status removePod(CriClient& client, const RunningPod& running) {
  if (running.pod.empty()) return absl::OkStatus();
  support::StatusCollector problems;
  if (!running.container.empty()) {
    problems.add(client.stopContainer(running.container, std::chrono::seconds(0)));
    problems.add(client.removeContainer(running.container));
  }
  problems.add(client.stopPod(running.pod));
  problems.add(client.removePod(running.pod));
  return problems.status();
}

}  // namespace

Population::~Population() {
  const absl::Status status = remove(1);
  if (!status.ok()) {
    std::cerr << "berth-bench: remove pods of " << engine_.name() << ": " << status.message()
              << "\n";
  }
}

absl::Status Population::grow(int count, int width) {
  const size_t before = pods_.size();
  pods_.resize(before + static_cast<size_t>(count));
  return inParallel(count, width, [&](int i) {
    return startPod(engine_.client(), engine_.podSpec(PodNetwork::kCni),
                    pods_[before + static_cast<size_t>(i)]);
  });
}

absl::Status Population::remove(int width) {
  support::StatusCollector problems;
  std::mutex mutex;
  const auto removeOne = [&](int i) {
    const absl::Status status = removePod(engine_.cleaner(), pods_[static_cast<size_t>(i)]);
    const std::lock_guard lock(mutex);
    problems.add(status);
    return absl::OkStatus();  // the others are to go all the same
  };
  problems.add(inParallel(static_cast<int>(pods_.size()), width, removeOne));
  pods_.clear();
  return problems.status();
}

}  // namespace berth::bench
