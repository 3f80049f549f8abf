// The plugin's options, checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "lookaside.hpp"
#include "retry.hpp"
#include "url.hpp"

namespace berth::registry {

// How to speak to a registry and to its mirrors that have no table of their own.
struct ConnectionOptions {
  bool insecure = false;  // the server's certificate is not verified
  std::string ca;         // PEM file, trusted beside the system's
  std::string clientCert;
  std::string clientKey;
  std::vector<std::pair<std::string, std::string>> headers;
};

enum class Fallback { kRegistry, kNone };

// One table under `registries`.
struct RegistryOptions {
  std::vector<Url> mirrors;  // in the order they are asked; the path is a prefix of repositories
  Fallback fallback = Fallback::kRegistry;
  Lookaside lookaside;            // where signatures lie beside it
  bool blocked = false;           // nothing is taken from it, nor from its mirrors
  std::optional<bool> plainHttp;  // not given: only for loopback hosts without TLS settings
  ConnectionOptions connection;
};

struct Options {
  std::map<std::string, RegistryOptions, std::less<>> registries;  // by lowercase host[:port]
  std::optional<RegistryOptions> byDefault;                        // "*" or "_default"
  Milliseconds connectTimeout{10'000};
  Milliseconds mirrorConnectTimeout{2'000};
  unsigned retries = 3;
  uint64_t minThroughput = 0;  // bytes per second; 0: only silence counts
  Milliseconds stall{30'000};
  std::string userAgent;
  std::string proxy;  // empty: http_proxy, https_proxy and no_proxy of the environment

  // The table of a registry, with or without the default port of its scheme; null without one.
  const RegistryOptions* own(std::string_view host) const;
  // The same, else the default one, else null.
  const RegistryOptions* find(std::string_view host) const;
};

// What the plugin declares (berth_plugin.options).
extern const std::string_view kDeclaredOptions;

// INVALID_ARGUMENT naming the key. Reads the named files' existence; blocks on the file system.
absl::StatusOr<Options> parseOptions(std::string_view json);

// One table, whose place in the configuration is `where`: "registries.\"registry.example\"".
absl::StatusOr<RegistryOptions> parseRegistryOptions(const boost::json::value& value,
                                                     const std::string& where);

}  // namespace berth::registry
