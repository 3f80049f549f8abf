// Redirections (RFC 9110, section 15.4): registries hand out blobs from other hosts.
#pragma once

#include <functional>

#include "endpoint.hpp"
#include "http.hpp"

namespace berth::registry {

struct FollowedAnswer {
  HttpAnswer answer;
  Url url;  // of the last request made
};

// How to speak to the host of a URL.
using Connections = std::function<ConnectionOptions(const Url&)>;

// Performs the request and follows at most five redirections. Authorization goes to no other
// origin, each origin is spoken to as `connections` says, a POST is not redirected, and https never
// becomes http.
FollowedAnswer performFollowing(HttpClient& client, const Connections& connections,
                                HttpRequest request, BodyReader& reader, const Patience& patience);

}  // namespace berth::registry
