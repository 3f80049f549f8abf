// Redirections (RFC 9110, section 15.4): registries hand out blobs from other hosts.
#pragma once

#include "endpoint.hpp"
#include "http.hpp"

namespace berth::registry {

struct FollowedAnswer {
  HttpAnswer answer;
  Url url;  // of the last request made
};

// Performs the request and follows at most five redirections. Authorization and configured headers
// go to no other origin, a POST is not redirected, and https never becomes http.
FollowedAnswer performFollowing(HttpClient& client, const Options& options, const Endpoint& from,
                                HttpRequest request, BodyReader& reader, const Patience& patience);

}  // namespace berth::registry
