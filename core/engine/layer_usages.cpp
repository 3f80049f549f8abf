#include "engine/layer_usages.hpp"

#include <algorithm>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::engine {

namespace {

// A walk that takes longer is given up, and tried again only much later.
constexpr std::chrono::minutes kLimit{10};
// Walking takes no more than one part in this many of the time.
constexpr int kShare = 20;
// Of one snapshotter: one that may not answer, and the next beside it.
constexpr int kAtOnce = 2;

}  // namespace

LayerUsages::Measuring::Measuring(Layer one)
    : layer(std::move(one)),
      op(support::strCat("measure ", layer.container), Clock::now() + kLimit) {}

std::optional<LayerUsages::Reading> LayerUsages::get(const std::string& container,
                                                     const std::string& snapshotter,
                                                     Content content) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[container];
  const bool settled = content == Content::kFinal && entry.final;
  if (!finished_ && !entry.wanted && !settled && Clock::now() >= entry.due) {
    queue_.push_back({container, snapshotter, content});
    entry.wanted = true;
  }
  provideThread();
  return entry.reading;
}

void LayerUsages::forget(const std::string& container) {
  const std::lock_guard lock(mutex_);
  entries_.erase(container);
  std::erase_if(queue_, [&](const Layer& one) { return one.container == container; });
  for (Measuring& one : measuring_)
    if (one.layer.container == container) one.op.cancel();
}

void LayerUsages::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  queue_.clear();
  for (Measuring& one : measuring_) one.op.cancel();
}

// Whoever asks sees to it, and again when there was no thread to be had.
void LayerUsages::provideThread() {
  if (nextIsSoon() || next() == queue_.end()) return;
  coming_ = workers_.post([this] { run(); }).ok();
}

bool LayerUsages::nextIsSoon() const {
  const auto late = Clock::now() - times_.prompt;
  return coming_ || std::any_of(measuring_.begin(), measuring_.end(),
                                [&](const Measuring& one) { return one.op.begun() > late; });
}

std::deque<LayerUsages::Layer>::iterator LayerUsages::next() {
  return std::find_if(queue_.begin(), queue_.end(), [this](const Layer& layer) {
    return std::count_if(measuring_.begin(), measuring_.end(), [&](const Measuring& one) {
             return one.layer.snapshotter == layer.snapshotter;
           }) < kAtOnce;
  });
}

void LayerUsages::run() {
  std::unique_lock lock(mutex_);
  coming_ = false;
  while (!nextIsSoon()) {
    const auto layer = next();
    if (layer == queue_.end()) return;
    const auto one = measuring_.emplace(measuring_.end(), *layer);
    queue_.erase(layer);
    lock.unlock();
    absl::StatusOr<plugins::Usage> usage;
    const absl::Status thrown = support::returnThrown([&] {
      usage = measure_(one->op, one->layer.container);
      return absl::OkStatus();
    });
    if (!thrown.ok()) usage = thrown;
    lock.lock();
    keep(*one, usage);
    measuring_.erase(one);
  }
}

void LayerUsages::keep(const Measuring& one, const absl::StatusOr<plugins::Usage>& usage) {
  const auto found = entries_.find(one.layer.container);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  const auto now = Clock::now();
  entry.wanted = false;
  entry.due = now + std::max(times_.age, (now - one.op.begun()) * kShare);
  if (absl::IsNotFound(usage.status())) {
    entries_.erase(found);
    return;
  }
  if (!usage.ok()) return;  // the last reading stays, with its time
  entry.reading = Reading{*usage, support::nowNanoseconds()};
  entry.final = one.layer.content == Content::kFinal;
}

}  // namespace berth::engine
