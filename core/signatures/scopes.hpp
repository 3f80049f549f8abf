// Which scopes of a signature policy an image is in: containers-policy.json(5), "Supported
// transports and their scopes".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "images/reference.hpp"

namespace berth::signatures {

// INVALID_ARGUMENT for a scope that images of the transport are never in. Transports that are not
// known here may have any.
absl::Status checkScope(std::string_view transport, std::string_view scope);

// The scope as scopesOf() has it: registries are hosts, whose names are the same in capitals.
std::string comparableScope(std::string_view transport, std::string_view scope);

// From the narrowest to the widest, without "": for docker the image itself, its repository, the
// namespaces above, the registry, and the domains above that as "*.example.com"; for images in
// files their path and the folders above.
std::vector<std::string> scopesOf(std::string_view transport, std::string_view location,
                                  const images::Reference& name);

}  // namespace berth::signatures
