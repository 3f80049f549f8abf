// How long a plugin may run on behalf of a call.
#pragma once

#include <chrono>

#include "berth/plugin.hpp"
#include "berth/support/process.hpp"

namespace berth::cni {

// Until the call's deadline or cancellation, and no longer than `most`.
support::RunLimits limitsOf(const Op& op,
                            std::chrono::steady_clock::duration most = std::chrono::hours(24));

// For giving back what a failed call has taken: that has to happen although the call may be over. A
// call that is over must return within a second (berth/types.h), so then it is less than that.
support::RunLimits limitsOfUndo(const Op& op);

}  // namespace berth::cni
