#include "main/end_limit.hpp"

#include <unistd.h>
#include <utility>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"
#include "plugins/operation.hpp"

namespace berth::program {

EndLimit::~EndLimit() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EndLimit::begin(std::string stage, std::chrono::milliseconds time) {
  {
    const std::lock_guard lock(mutex_);
    stage_ = std::move(stage);
    end_ = std::chrono::steady_clock::now() + time;
  }
  changed_.notify_all();
  if (thread_.joinable()) return;
  auto thread = support::startThread([this] { watch(); });
  if (thread.ok()) {
    thread_ = *std::move(thread);
  } else {
    common::logWarning("the daemon's end may take any time",
                       {{"error", std::string(thread.status().message())}});
  }
}

void EndLimit::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    const auto end = end_;
    if (std::chrono::steady_clock::now() < end) {
      changed_.wait_until(lock, end);
      continue;
    }
    const std::string stage = stage_;
    lock.unlock();
    expired_(stage);
    return;
  }
}

void EndLimit::endProcess(const std::string& stage) {
  for (const plugins::RunningOperation& one : plugins::runningOperations())
    common::logWarning("an operation does not end",
                       {{"operation", one.name}, {"stage", one.stage}});
  common::logError("the daemon ends as if it had crashed: this has not ended in its time",
                   {{"waited_for", stage}});
  ::_exit(1);
}

}  // namespace berth::program
