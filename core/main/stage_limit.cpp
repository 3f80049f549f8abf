#include "main/stage_limit.hpp"

#include <unistd.h>
#include <utility>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"
#include "plugins/operation.hpp"

namespace berth::program {

StageLimit::~StageLimit() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void StageLimit::begin(std::string stage, std::chrono::milliseconds time) {
  {
    const std::lock_guard lock(mutex_);
    stage_ = std::move(stage);
    end_ = Clock::now() + time;
  }
  changed_.notify_all();
  if (thread_.joinable()) return;
  auto thread = support::startThread([this] { watch(); });
  if (thread.ok()) {
    thread_ = *std::move(thread);
  } else {
    common::logWarning("the daemon's start or end may take any time",
                       {{"error", std::string(thread.status().message())}});
  }
}

void StageLimit::end() {
  const std::lock_guard lock(mutex_);
  end_ = Clock::time_point::max();
}

void StageLimit::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    const auto end = end_;
    if (Clock::now() < end) {
      changed_.wait_until(lock, end);
      continue;
    }
    const std::string stage = stage_;
    lock.unlock();
    expired_(stage);
    return;
  }
}

void StageLimit::endProcess(const std::string& stage) {
  for (const plugins::RunningOperation& one : plugins::runningOperations())
    common::logWarning("an operation does not end",
                       {{"operation", one.name}, {"stage", one.stage}});
  common::logError("the daemon ends as if it had crashed: this has not ended in its time",
                   {{"waited_for", stage}});
  ::_exit(1);
}

}  // namespace berth::program
