// The shim's program: what it is called with, and what it says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "../ttrpc/limits.hpp"

namespace berth::kata {

// Those of a whole pod are alike, or the shim takes it for another one.
struct ShimCall {
  std::string binary;
  std::string id;      // of the container; the pod's for its sandbox
  std::string bundle;  // working directory
  std::string eventsAddress;
  std::string publisher;  // a program that exists; no shim of today runs it
  bool debug = false;
};

struct ShimAddress {
  std::string address;
  int version = 2;  // of the task service
};

// Reads what `start` has written to its standard output: a bare address, JSON, or a serialised
// BootstrapResult. FAILED_PRECONDITION for another protocol than ttrpc or a version that is neither
// 2 nor 3, INTERNAL for what is none of these.
absl::StatusOr<ShimAddress> parseStartOutput(std::string_view output);

// Starts the pod's shim, which goes on by itself. The bundle has its config.json, and somebody
// reads its log. Errors have the program's own words.
absl::StatusOr<ShimAddress> startShim(const ShimCall& call, const CallLimits& limits);

struct ShimExit {
  int64_t pid = 0;
  int exitCode = 0;
  int64_t exitedAt = 0;  // nanoseconds since the epoch
};

// Has the program clean up after a container whose shim is gone. Needs neither shim nor guest.
absl::StatusOr<ShimExit> cleanUpWithShim(const ShimCall& call, const CallLimits& limits);

// Removes the socket of a shim that is gone; a later one of the same name would stumble over it.
absl::Status removeStaleSocket(const std::string& address);

}  // namespace berth::kata
