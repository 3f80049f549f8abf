#include "in_parallel.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "berth/support/status.hpp"

namespace berth::bench {

absl::Status inParallel(int count, int width, const NumberedTask& task) {
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

absl::Status eachInParallel(int count, int width, const NumberedTask& task) {
  support::StatusCollector problems;
  std::mutex mutex;
  const auto carryOn = [&](int i) {
    const absl::Status status = task(i);
    const std::lock_guard lock(mutex);
    problems.add(status);
    return absl::OkStatus();
  };
  problems.add(inParallel(count, width, carryOn));
  return problems.status();
}

}  // namespace berth::bench
