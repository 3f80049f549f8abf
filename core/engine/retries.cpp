#include "engine/retries.hpp"

#include <algorithm>

#include "berth/support/threads.hpp"
#include "common/log.hpp"

namespace berth::engine {

std::chrono::milliseconds Pauses::after(unsigned failures) const {
  constexpr unsigned kMostDoublings = 10;
  const unsigned doublings = std::min(failures == 0 ? 0 : failures - 1, kMostDoublings);
  return std::min(first * (1u << doublings), longest);
}

Retries::Retries(common::Workers& workers, std::chrono::milliseconds longTime)
    : workers_(workers), longTime_(longTime), thread_([this] { keep(); }) {}

void Retries::finish() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  for (plugins::Operation* operation : underWay_) operation->cancel();
  wake_.notify_all();
  tried_.notify_all();
  tried_.wait(lock, [this] { return active_ == 0; });
  waiting_.clear();
  if (!thread_.joinable()) return;
  std::thread thread = std::move(thread_);
  lock.unlock();
  thread.join();
}

void Retries::add(Task task) {
  push(std::move(task), 0);
}

void Retries::addLater(Task task) {
  push(std::move(task), 1);
}

void Retries::push(Task task, unsigned failures) {
  auto item = std::make_shared<Item>();
  item->task = std::move(task);
  item->failures = failures;
  item->due = Clock::now();
  if (failures > 0) item->due += item->task.pauses.after(failures);
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (failures == 0 && item->task.awaited) ++untried_;
  waiting_.push_back(std::move(item));
  wake_.notify_all();
}

void Retries::hurry(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const SharedItem& item) { return item->task.name == name; });
  if (found == waiting_.end()) {
    hurried_.insert(name);
  } else {
    (*found)->due = Clock::now();
  }
  wake_.notify_all();
}

void Retries::cancel(std::string_view part) {
  const std::lock_guard lock(mutex_);
  for (plugins::Operation* operation : underWay_) {
    if (operation->name().find(part) != std::string::npos) operation->cancel();
  }
}

bool Retries::awaitFirstTries(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  return tried_.wait_until(lock, until, [this] { return untried_ == 0 || stopping_; }) &&
         !stopping_;
}

void Retries::keep() {
  std::unique_lock lock(mutex_);
  while (SharedItem item = takeDue(lock)) {
    workers_.postSurely([this, item] { attempt(item); });
  }
}

// Waits for a task whose time has come, and for room; null when the engine ends.
Retries::SharedItem Retries::takeDue(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (stopping_) return nullptr;
    const std::array room{roomFor(false), roomFor(true)};
    const auto dueOf = [&](const SharedItem& item) {
      return std::max(item->due, room[item->task.awaited]);
    };
    const auto first =
        std::min_element(waiting_.begin(), waiting_.end(),
                         [&](const auto& a, const auto& b) { return dueOf(a) < dueOf(b); });
    const auto due = first == waiting_.end() ? Clock::time_point::max() : dueOf(*first);
    if (due == Clock::time_point::max()) {
      wake_.wait(lock);
    } else if (due > Clock::now()) {
      wake_.wait_until(lock, due);
    } else {
      SharedItem item = *first;
      waiting_.erase(first);
      item->longAt = Clock::time_point::max();
      counted_[item->task.awaited].insert(item);
      ++active_;
      return item;
    }
  }
}

// When one more may be tried; never, as far as is known, while the others have no thread.
Retries::Clock::time_point Retries::roomFor(bool awaited) {
  auto& counted = counted_[awaited];
  std::erase_if(counted, [now = Clock::now()](const auto& item) { return item->longAt <= now; });
  if (counted.size() < kAtOnce) return Clock::time_point::min();
  const auto first =
      std::min_element(counted.begin(), counted.end(),
                       [](const auto& a, const auto& b) { return a->longAt < b->longAt; });
  return (*first)->longAt;
}

absl::Status Retries::tryOnce(Item& item) {
  const auto now = Clock::now();
  plugins::Operation op(item.task.name, now + item.task.time);
  std::unique_lock lock(mutex_);
  item.longAt = now + longTime_;
  wake_.notify_all();
  if (stopping_) op.cancel();
  underWay_.insert(&op);
  lock.unlock();
  absl::Status status =
      support::returnThrown([&] { return op.check().ok() ? item.task.work(op) : op.check(); });
  lock.lock();
  underWay_.erase(&op);
  return status;
}

void Retries::logOutcome(Item& item, const absl::Status& status) const {
  if (status.ok() && item.failures > 0) {
    common::logInfo("done at last", {{"operation", item.task.name}});
  } else if (!status.ok() && !stopping_ && item.said != status.ToString()) {
    item.said = status.ToString();
    common::logWarning("failed; it is tried again",
                       {{"operation", item.task.name}, {"error", item.said}});
  }
}

void Retries::attempt(const SharedItem& item) {
  const absl::Status status = tryOnce(*item);
  std::lock_guard lock(mutex_);
  if (item->task.logged) logOutcome(*item, status);
  if (item->failures == 0 && item->task.awaited) --untried_;
  ++item->failures;
  const bool isHurried = hurried_.erase(item->task.name) > 0;
  if (!status.ok() && !stopping_) {
    item->due = Clock::now();
    if (!isHurried) item->due += item->task.pauses.after(item->failures);
    waiting_.push_back(item);
  }
  counted_[item->task.awaited].erase(item);
  --active_;
  wake_.notify_all();
  tried_.notify_all();
}

}  // namespace berth::engine
