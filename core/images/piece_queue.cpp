#include "images/piece_queue.hpp"

namespace berth::images {

namespace {
// HTTP libraries hand out some 16 KiB at a time: larger pieces cost fewer wake-ups.
constexpr size_t kPiece = 256u << 10;
constexpr size_t kPieces = 8;

absl::Status unwanted() {
  return absl::CancelledError("the layer is no longer wanted");
}
}  // namespace

absl::Status PieceQueue::write(std::string_view bytes) {
  if (abandoned_) return unwanted();
  filling_.append(bytes);
  if (filling_.size() < kPiece) return absl::OkStatus();
  std::unique_lock lock(mutex_);
  return enqueue(lock);
}

absl::Status PieceQueue::enqueue(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [this] { return abandoned_ || pieces_.size() < kPieces; });
  if (abandoned_) return unwanted();
  pieces_.push_back(std::move(filling_));
  if (spare_.empty()) {
    filling_ = std::string();
    filling_.reserve(kPiece);
  } else {
    filling_ = std::move(spare_.back());
    spare_.pop_back();
  }
  changed_.notify_all();
  return absl::OkStatus();
}

void PieceQueue::close(absl::Status status) {
  std::unique_lock lock(mutex_);
  if (status.ok() && !filling_.empty()) status = enqueue(lock);
  status_ = std::move(status);
  closed_ = true;
  changed_.notify_all();
}

absl::StatusOr<std::string_view> PieceQueue::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !pieces_.empty(); });
  if (!pieces_.empty()) {
    reading_.clear();
    if (reading_.capacity() >= kPiece) spare_.push_back(std::move(reading_));
    reading_ = std::move(pieces_.front());
    pieces_.pop_front();
    changed_.notify_all();
    return std::string_view(reading_);
  }
  if (!status_.ok()) return status_;
  return std::string_view();
}

bool PieceQueue::ready() {
  std::lock_guard lock(mutex_);
  return closed_ || !pieces_.empty();
}

void PieceQueue::abandon() {
  std::lock_guard lock(mutex_);
  abandoned_ = true;
  changed_.notify_all();
}

}  // namespace berth::images
