// Threads on a system that may have no more of them: that is a status like any other.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::support {

// What is being thrown at this moment, as a status: RESOURCE_EXHAUSTED when there is no memory or
// no thread to be had, INTERNAL for the rest. Only within a catch block.
absl::Status thrownStatus();

// What `work` returns, or throws.
absl::Status returnThrown(const std::function<absl::Status()>& work);

// A thread that runs `work`, which must not throw; RESOURCE_EXHAUSTED when there is none to be had.
// Whoever has it joins it.
absl::StatusOr<std::thread> startThread(std::function<void()> work);

// Runs `work` on a thread that ends with it, and returns what it returns or throws: for what
// changes a thread for good. RESOURCE_EXHAUSTED, and nothing is done, when there is none to be had.
absl::Status onOwnThread(const std::function<absl::Status()>& work);

// Runs `work` for each number below `count`, up to `width` at once, one of them on the caller's
// thread; fewer when there are no more threads to be had, so that this is no reason to fail.
// Returns when all have ended; the failures of all, thrown ones too, are joined.
absl::Status inParallel(size_t count, size_t width,
                        const std::function<absl::Status(size_t)>& work);

}  // namespace berth::support
