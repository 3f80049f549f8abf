#include "population.hpp"

#include <iostream>

#include "berth/support/status.hpp"
#include "in_parallel.hpp"

namespace berth::bench {
namespace {

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
  const absl::Status status = eachInParallel(static_cast<int>(pods_.size()), width, [&](int i) {
    return removePod(engine_.cleaner(), pods_[static_cast<size_t>(i)]);
  });
  pods_.clear();
  return status;
}

}  // namespace berth::bench
