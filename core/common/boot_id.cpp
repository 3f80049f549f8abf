#include "common/boot_id.hpp"

#include <absl/strings/strip.h>

#include "berth/support/files.hpp"

namespace berth::common {

std::string bootId() {
  const auto text = support::readFile("/proc/sys/kernel/random/boot_id");
  if (!text.ok()) return {};
  return std::string(absl::StripSuffix(*text, "\n"));
}

}  // namespace berth::common
