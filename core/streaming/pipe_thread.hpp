// System calls with a pipe that processes of containers have too.
//
// Whatever is done with a pipe, a read, a question and its end included, takes the pipe's lock,
// non-blocking or not; and who splices into it has that for as long as there is nothing to splice
// (splice(2)). So a thread does it all, which nobody has to wait for.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <sys/types.h>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::streaming {

// Thread-safe; end() must be called.
class PipeThread {
 public:
  // What one call can read or write.
  static constexpr size_t kBytes = 256u << 10;
  // The result, or -1 and errno.
  using SystemCall = ssize_t (*)(int fd, char* bytes, size_t size);
  // With the result, or a negative error number.
  using Done = std::function<void(ssize_t result)>;

  // The thread has both descriptors in a table of its own: as long as it has them the caller closes
  // its own without waiting, and when the process ends the thread keeps nothing else of it.
  // `other`, the other end, may be -1. RESOURCE_EXHAUSTED when there is no thread to be had.
  static absl::StatusOr<std::shared_ptr<PipeThread>> start(int fd, int other);

  // For one call at a time; none is made after end().
  char* bytes() { return bytes_.get(); }
  void call(SystemCall doing, size_t size, Done done);
  // Closes the other end, before the next call.
  void dropOther();
  // Closes what it has, once a call that is under way has ended; of that nobody hears any more.
  void end();

 private:
  void run(int fd, int other);
  void serve(support::Fd& fd, support::Fd& other);

  // Untouched pages cost nothing.
  const std::unique_ptr<char[]> bytes_ = std::make_unique_for_overwrite<char[]>(kBytes);
  std::promise<absl::Status> begun_;
  std::mutex mutex_;
  std::condition_variable wake_;
  // Under the mutex.
  SystemCall doing_ = nullptr;
  size_t size_ = 0;
  Done done_;
  bool dropsOther_ = false;
  bool ends_ = false;
};

}  // namespace berth::streaming
