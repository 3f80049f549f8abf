#include "engine/layer_usages.hpp"

#include <algorithm>

#include <absl/cleanup/cleanup.h>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::engine {

namespace {

// A walk that takes longer is given up, and tried again only much later.
constexpr std::chrono::minutes kLimit{10};
// Walking takes no more than one part in this many of the time.
constexpr int kShare = 20;

}  // namespace

std::optional<LayerUsages::Reading> LayerUsages::get(const std::string& container,
                                                     Content content) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[container];
  const bool settled = content == Content::kFinal && entry.final;
  if (finished_ || entry.queued || settled || Clock::now() < entry.due) return entry.reading;
  // Without a thread the next one who asks tries again.
  if (!running_ && !workers_.post([this] { run(); }).ok()) return entry.reading;
  running_ = true;
  entry.queued = true;
  queue_.emplace_back(container, content);
  return entry.reading;
}

void LayerUsages::forget(const std::string& container) {
  const std::lock_guard lock(mutex_);
  entries_.erase(container);
  if (current_ != nullptr && measured_ == container) current_->cancel();
}

void LayerUsages::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  queue_.clear();
  if (current_ != nullptr) current_->cancel();
}

void LayerUsages::run() {
  std::unique_lock lock(mutex_);
  // However this ends: the next one who asks begins anew.
  const absl::Cleanup stopped = [this] { running_ = false; };
  while (!queue_.empty()) {
    const auto next = queue_.front();
    const std::string& container = next.first;
    queue_.pop_front();
    if (!entries_.contains(container)) continue;  // forgotten meanwhile
    const auto begun = Clock::now();
    current_ = std::make_unique<plugins::Operation>(support::strCat("measure ", container),
                                                    begun + kLimit);
    measured_ = container;
    lock.unlock();
    absl::StatusOr<plugins::Usage> usage;
    const absl::Status thrown = support::returnThrown([&] {
      usage = measure_(*current_, container);
      return absl::OkStatus();
    });
    if (!thrown.ok()) usage = thrown;
    lock.lock();
    current_.reset();
    keep(container, next.second, usage, Clock::now() - begun);
  }
}

void LayerUsages::keep(const std::string& container, Content content,
                       const absl::StatusOr<plugins::Usage>& usage, Clock::duration took) {
  const auto found = entries_.find(container);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.queued = false;
  entry.due = Clock::now() + std::max(age_, took * kShare);
  if (absl::IsNotFound(usage.status())) {
    entries_.erase(found);
    return;
  }
  if (!usage.ok()) return;  // the last reading stays, with its time
  entry.reading = Reading{*usage, support::nowNanoseconds()};
  entry.final = content == Content::kFinal;
}

}  // namespace berth::engine
