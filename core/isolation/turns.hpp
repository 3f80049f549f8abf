// Calls that the host makes by itself, beside those that it is asked to make.
#pragma once

#include <functional>
#include <string_view>

namespace berth::isolation {

// Runs a call about an object once the plugin's declared threading allows it, before it returns.
// False: `wanted`, which is asked while others have their turn, has said no, and it was not run.
// Thread-safe.
using Turns = std::function<bool(std::string_view object, const std::function<bool()>& wanted,
                                 const std::function<void()>& call)>;

}  // namespace berth::isolation
