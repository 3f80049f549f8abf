// Results of ADD in every version of the specification (CNI spec, section 5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "version.hpp"

namespace berth::cni {

// The object a plugin printed, as one of version `spoken`: the one it was asked in, and has to
// answer in. INVALID_ARGUMENT when it is no JSON object, or what it says of its version is none.
absl::StatusOr<boost::json::object> parseResult(std::string_view text, const std::string& what,
                                                const Version& spoken);

// The pod's addresses without prefix lengths: those of `interface` first, then those of other
// interfaces of the pod; never those of the host's side. In the result's order otherwise.
std::vector<std::string> addressesOf(const boost::json::object& result, std::string_view interface);

}  // namespace berth::cni
