// Counters of the interfaces of a network namespace, through rtnetlink.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/runtime.h"
#include "berth/support/fd.hpp"

namespace berth::runc {

struct InterfaceStats {
  std::string name;
  berth_interface_stats counters{};  // its name is not set: take the one above
};

// A netlink socket that lives in a network namespace, though nobody else of this process does. It
// keeps the namespace alive: let it go before the namespace is to end. Not thread-safe.
class NetworkStats {
 public:
  // `path`: a namespace file. Blocks for some microseconds on a thread that enters it.
  static absl::StatusOr<NetworkStats> open(const std::string& path);

  // Every interface but the loopback. Does not block.
  absl::StatusOr<std::vector<InterfaceStats>> read();

 private:
  NetworkStats(support::Fd socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)) {}

  support::Fd socket_;
  std::string path_;
  uint32_t sequence_ = 0;
};

}  // namespace berth::runc
