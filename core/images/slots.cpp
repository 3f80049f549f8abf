#include "images/slots.hpp"

#include "berth/support/status.hpp"
#include "images/patience.hpp"

namespace berth::images {

absl::StatusOr<Slots::Slot> Slots::take(const plugins::Operation& op, const std::string& name) {
  std::string kept = name;
  std::unique_lock lock(mutex_);
  const uint64_t own = ++last_;
  Line& line = lines_[name];
  line.waiting.push_back(own);
  const auto isNext = [&] {
    return taken_ < most_ && line.taken < count_ && line.waiting.front() == own;
  };
  while (!changed_.wait_until(lock, nextLook(op), isNext)) {
    absl::Status wanted = op.check();
    if (wanted.ok()) continue;
    std::erase(line.waiting, own);
    if (line.taken == 0 && line.waiting.empty()) lines_.erase(name);
    changed_.notify_all();
    return wanted;
  }
  ++taken_;
  ++line.taken;
  line.waiting.pop_front();
  if (line.taken < count_) changed_.notify_all();
  return Slot(*this, std::move(kept));
}

size_t Slots::waiting() const {
  std::lock_guard lock(mutex_);
  size_t all = 0;
  for (const auto& [name, line] : lines_) all += line.waiting.size();
  return all;
}

void Slots::give(const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    --taken_;
    const auto line = lines_.find(name);
    if (--line->second.taken == 0 && line->second.waiting.empty()) lines_.erase(line);
  }
  changed_.notify_all();
}

}  // namespace berth::images
