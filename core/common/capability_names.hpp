// Linux capabilities by name and number (capabilities(7), linux/capability.h). All functions may
// be called from any thread and never block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::common {

// Capabilities this build has names for: 0 up to this number.
inline constexpr int kCapabilityCount = 41;

constexpr uint64_t capabilityBit(int number) {
  return uint64_t{1} << number;
}

// "CAP_CHOWN", "chown" and "CHOWN" are the same; nothing for a name that is unknown.
std::optional<int> capabilityNumber(std::string_view name);

// With the prefix, as the OCI runtime specification writes it. `number` is below
// kCapabilityCount.
std::string_view capabilityName(int number);

// The names of the bits set, in the order of their numbers; bits without a name are left out.
std::vector<std::string> capabilityNames(uint64_t mask);

}  // namespace berth::common
