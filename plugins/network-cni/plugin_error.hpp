// What a failed CNI plugin means (CNI spec, section 5, "Error").
#pragma once

#include <string_view>

#include <absl/status/status.h>

#include "berth/support/process.hpp"

namespace berth::cni {

// The status of a plugin that ended with a code other than 0: `doing` is as in "bridge ADD". The
// message holds the plugin's code, msg and details, or the end of what it printed when that is no
// error object. UNAVAILABLE: trying again later may help (codes 11, 50, 51). NOT_FOUND: the
// container is unknown to the plugin (code 3). FAILED_PRECONDITION: the configuration is at fault
// (codes 1, 2, 7). Else INTERNAL.
absl::Status pluginError(std::string_view doing, const support::Output& output);

}  // namespace berth::cni
