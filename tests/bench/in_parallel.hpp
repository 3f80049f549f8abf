// The same task, many times, in several threads.
#pragma once

#include <functional>

#include <absl/status/status.h>

namespace berth::bench {

// Given a number from 0 on; runs in any of the threads.
using NumberedTask = std::function<absl::Status(int)>;

// Runs `task` for 0 … count-1 in `width` threads until all are done or one has failed; what runs
// then is awaited. The first failure.
absl::Status inParallel(int count, int width, const NumberedTask& task);

// Runs it for all of them, whatever fails. All failures.
absl::Status eachInParallel(int count, int width, const NumberedTask& task);

}  // namespace berth::bench
