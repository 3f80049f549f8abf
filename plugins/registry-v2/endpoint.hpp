// Where a registry's content can be asked for, and how.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"
#include "reference.hpp"
#include "url.hpp"

namespace berth::registry {

enum class EndpointRole { kMirror, kRegistry };

// One server for one registry. Borrows from the options.
struct Endpoint {
  EndpointRole role = EndpointRole::kRegistry;
  Url base;                // its path is a prefix of the repositories, without a '/' at the end
  std::string registry;    // the host that references name
  std::string credential;  // the host that credentials are looked up for
  const ConnectionOptions* connection = nullptr;  // never null
  Milliseconds connectTimeout{0};

  // The repository as this server names it; scopes of tokens are about it.
  std::string repository(std::string_view path) const;
  // "<base>/v2/<prefix>/<path>/<kind>/<what>": kind "manifests" or "blobs". A mirror is told by the
  // query `ns` which registry it stands for.
  Url url(std::string_view path, std::string_view kind, std::string_view what) const;
};

// In the order they are asked: the mirrors, then the registry itself unless fallback is off.
std::vector<Endpoint> endpointsOf(const Options& options, const Reference& reference);

// How to speak to another host that a server of `from` names, by redirection or as its token
// server: as its own table says, else with the settings of `from` on another port of the same
// host, else with nothing but the trusted CA. Client certificates, headers and a waiver of
// verification are for the host they were written for.
ConnectionOptions connectionFor(const Options& options, const Endpoint& from, const Url& target);

// The same for a token server, whose token `from` will see: a registry could name that of another
// one and get what the node alone may have. What proves who the node is goes to another host only
// for a registry that has a table of its own, or for a mirror.
ConnectionOptions tokenConnectionFor(const Options& options, const Endpoint& from,
                                     const Url& target);

// Without client certificate and headers, which prove who this node is.
ConnectionOptions withoutProof(ConnectionOptions connection);

}  // namespace berth::registry
