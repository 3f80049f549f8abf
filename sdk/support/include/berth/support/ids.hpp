// Identifiers.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace berth::support {

// 64 lowercase hexadecimal digits (256 bits) from getrandom(2). Any thread; blocks only while the
// kernel has not yet seeded its generator, right after boot.
std::string randomId();

// INVALID_ARGUMENT for an id that cannot be a file's name, or would be taken for an option; `what`
// says whose it is: "pod", "container".
absl::Status checkId(std::string_view what, std::string_view id);

}  // namespace berth::support
