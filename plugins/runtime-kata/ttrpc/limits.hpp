// How long calls of this plugin may take, in the terms of all plugins.
#pragma once

#include "berth/support/call_limits.hpp"

namespace berth::kata {

using support::CallLimits;
using support::limitsFor;
using support::limitsOf;

}  // namespace berth::kata
