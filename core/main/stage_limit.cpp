#include "main/stage_limit.hpp"

#include <algorithm>
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
  change(std::move(stage), time, Clock::now() + time);
}

void StageLimit::expect(std::string stage, std::chrono::milliseconds time) {
  change(std::move(stage), time, Clock::time_point::max());
}

void StageLimit::change(std::string stage, std::chrono::milliseconds time, Clock::time_point end) {
  if (listeners_.begun) listeners_.begun(stage, time);
  {
    const std::lock_guard lock(mutex_);
    stage_ = std::move(stage);
    end_ = end;
    long_ = Clock::now() + listeners_.longTime;
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
  stage_.clear();
  end_ = long_ = Clock::time_point::max();
}

std::string StageLimit::stage() const {
  const std::lock_guard lock(mutex_);
  return stage_;
}

void StageLimit::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    const auto now = Clock::now();
    const std::string stage = stage_;
    if (now >= end_) {
      lock.unlock();
      expired_(stage);
      return;
    }
    if (now >= long_) {
      long_ = Clock::time_point::max();
      lock.unlock();
      if (listeners_.lasts) listeners_.lasts(stage);
      lock.lock();
      continue;
    }
    changed_.wait_until(lock, std::min(end_, long_));
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
