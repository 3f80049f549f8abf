// Bytes on their way from the thread that fetches them to the one that unpacks them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::images {

// A bounded queue between one writer and one reader: memory stays bounded however fast either is.
class PieceQueue {
 public:
  // Copies; blocks while the queue is full. CANCELLED once the reader has gone.
  absl::Status write(std::string_view bytes);
  // No more comes: the end, or a failure.
  void close(absl::Status status);
  // The next piece, empty at the end, valid until the next call. Blocks.
  absl::StatusOr<std::string_view> next();
  // Whether next() would not block.
  bool ready();
  // The reader has gone: the writer is to stop.
  void abandon();

 private:
  absl::Status enqueue(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> pieces_;
  std::vector<std::string> spare_;  // empty, with room: what was read is filled again
  std::string filling_;
  std::string reading_;
  absl::Status status_;
  bool closed_ = false;
  std::atomic<bool> abandoned_ = false;
};

}  // namespace berth::images
