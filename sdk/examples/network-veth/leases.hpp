// Who has which address of a range.
#pragma once

#include <berth/plugin.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vethnet {

// IPv4, in the machine's byte order.
std::string toText(uint32_t address);

struct Range {
  uint32_t first = 0;  // of the network
  uint32_t last = 0;   // of the network: broadcast

  uint32_t gateway() const { return first + 1; }
  // "10.77.0.0/24"; nothing when it is none, or has no room for the host and a pod.
  static std::optional<Range> parse(std::string_view text);
};

// A folder with one file for each address that is taken; it holds the pod's id. Any thread, also
// beside the instance that this one replaces, which has the same folder.
class Leases {
 public:
  explicit Leases(std::string folder) : folder_(std::move(folder)) {}

  // The pod's address: the one it has, or a free one.
  berth::Status take(const Range& range, std::string_view pod, uint32_t& address);
  std::optional<uint32_t> find(std::string_view pod) const;
  void release(std::string_view pod);
  // The pods that have one.
  std::vector<std::string> pods() const;

 private:
  const std::string folder_;
};

}  // namespace vethnet
