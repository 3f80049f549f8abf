#include "group_sync.hpp"

#include <cerrno>
#include <unistd.h>

#include "berth/support/status.hpp"

namespace berth::overlay {

absl::Status GroupSync::sync() {
  std::unique_lock lock(mutex_);
  // A round that runs already may have passed by what the caller wrote.
  const uint64_t mine = begun_ + 1;
  while (ended_ < mine) {
    if (begun_ > ended_) {
      done_.wait(lock);
      continue;
    }
    const uint64_t round = ++begun_;
    lock.unlock();
    const int error = ::syncfs(fileSystem_.get()) == 0 ? 0 : errno;
    lock.lock();
    ended_ = round;
    if (error != 0) {
      failed_ = round;
      failure_ = support::errnoStatus(error, "sync the file system of the layers");
    }
    done_.notify_all();
  }
  return failed_ >= mine ? failure_ : absl::OkStatus();
}

}  // namespace berth::overlay
