// Connections to ports on a loopback address, in any network namespace.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::engine {

// A stream socket, blocking, connected to 127.0.0.1 or, when that fails, to ::1, of the calling
// thread's network namespace. UNAVAILABLE with both reasons when neither answers; each address has
// five seconds at most, and both together until the deadline. Any thread; blocks.
absl::StatusOr<support::Fd> connectLoopback(uint16_t port,
                                            std::chrono::steady_clock::time_point deadline);

// The same in the network namespace at `path`, which a thread of its own enters.
// FAILED_PRECONDITION when it cannot be entered.
absl::StatusOr<support::Fd> connectLoopbackIn(const std::string& path, uint16_t port,
                                              std::chrono::steady_clock::time_point deadline);

}  // namespace berth::engine
