#include "options.hpp"

#include <algorithm>

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "reference.hpp"
#include "text.hpp"

namespace berth::registry {

const std::string_view kDeclaredOptions = R"json([
  {"key": "registries", "type": "table", "default": {}, "example": {"registry.example": {"mirrors": ["https://mirror.example"], "fallback": false}},
   "help": "By registry host (as in registry.example or registry.example:5000; \"*\" for all others): mirrors, fallback, blocked, insecure, plain_http, ca, client_cert, client_key, headers, lookaside."},
  {"key": "connect_timeout_seconds", "type": "integer", "default": 10, "example": 5,
   "help": "How long name lookup, connection and TLS handshake with a registry may take."},
  {"key": "mirror_connect_timeout_seconds", "type": "integer", "default": 2, "example": 1,
   "help": "The same for a mirror; one that does not answer is asked last for the next 30 seconds."},
  {"key": "retries", "type": "integer", "default": 3, "example": 5,
   "help": "How often a request that failed for the moment is repeated, with growing pauses."},
  {"key": "min_throughput_bytes_per_second", "type": "integer", "default": 0, "example": 10000,
   "help": "A transfer slower than this over stall_seconds is given up; 0: only a silent one is."},
  {"key": "stall_seconds", "type": "integer", "default": 30, "example": 60,
   "help": "How long a server may send nothing before the transfer is given up."},
  {"key": "user_agent", "type": "string", "default": "", "example": "node/1.0",
   "help": "The User-Agent header; empty: the plugin's name and version."},
  {"key": "proxy", "type": "string", "default": "", "example": "http://proxy.example:3128",
   "help": "A proxy's URL; empty: http_proxy, https_proxy and no_proxy of the environment. Loopback hosts are always reached directly."}
])json";

namespace {

namespace bj = boost::json;
using support::strCat;

constexpr std::string_view kDefaultAgent = "berth-registry-v2/0.1.0";

constexpr auto refuse = support::optionError;

struct Range {
  int64_t lowest;
  int64_t highest;
};

absl::Status readInteger(const bj::object& options, std::string_view key, Range range,
                         int64_t& out) {
  const bj::value* value = options.if_contains(key);
  if (value == nullptr) return absl::OkStatus();
  constexpr int64_t kNone = INT64_MIN;
  out = support::intMember(options, key, kNone);
  if (out == kNone || out < range.lowest || out > range.highest)
    return refuse(key, strCat("must be a whole number from ", range.lowest, " to ", range.highest));
  return absl::OkStatus();
}

absl::Status readString(const bj::object& options, std::string_view key, std::string& out) {
  const bj::value* value = options.if_contains(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_string()) return refuse(key, "must be a string");
  out = support::stringMember(options, key);
  const bool clean = std::all_of(out.begin(), out.end(),
                                 [](char c) { return static_cast<unsigned char>(c) >= ' '; });
  return clean ? absl::OkStatus() : refuse(key, "must not contain control characters");
}

absl::Status readNumbers(const bj::object& given, Options& options) {
  constexpr int64_t kHour = 3600;
  int64_t connect = options.connectTimeout.count() / 1000;
  int64_t mirror = options.mirrorConnectTimeout.count() / 1000;
  int64_t retries = options.retries;
  int64_t throughput = 0;
  int64_t stall = options.stall.count() / 1000;
  BERTH_RETURN_IF_ERROR(readInteger(given, "connect_timeout_seconds", {1, kHour}, connect));
  BERTH_RETURN_IF_ERROR(readInteger(given, "mirror_connect_timeout_seconds", {1, kHour}, mirror));
  BERTH_RETURN_IF_ERROR(readInteger(given, "retries", {0, 100}, retries));
  BERTH_RETURN_IF_ERROR(
      readInteger(given, "min_throughput_bytes_per_second", {0, int64_t{1} << 40}, throughput));
  BERTH_RETURN_IF_ERROR(readInteger(given, "stall_seconds", {1, kHour}, stall));
  options.connectTimeout = std::chrono::seconds(connect);
  options.mirrorConnectTimeout = std::chrono::seconds(mirror);
  options.retries = static_cast<unsigned>(retries);
  options.minThroughput = static_cast<uint64_t>(throughput);
  options.stall = std::chrono::seconds(stall);
  return absl::OkStatus();
}

// The proxy may carry a password, so its value is never quoted.
absl::Status checkProxy(const std::string& proxy) {
  if (proxy.empty()) return absl::OkStatus();
  constexpr std::string_view kSchemes[] = {"http://",    "https://",  "socks4://",
                                           "socks4a://", "socks5://", "socks5h://"};
  const bool known = std::any_of(std::begin(kSchemes), std::end(kSchemes), [&](auto scheme) {
    return proxy.size() > scheme.size() && lowerAscii(proxy.substr(0, scheme.size())) == scheme;
  });
  return known ? absl::OkStatus()
               : refuse("proxy",
                        "must be a URL that starts with http://, https://, socks4://, "
                        "socks4a://, socks5:// or socks5h://");
}

absl::Status addRegistry(const std::string& key, const bj::value& value, Options& options) {
  const std::string where = support::optionPath("registries", support::oneLine(key, 256));
  BERTH_ASSIGN_OR_RETURN(RegistryOptions table, parseRegistryOptions(value, where));
  if (key == "*" || key == "_default") {
    if (options.byDefault) return refuse(where, "\"*\" and \"_default\" mean the same; keep one");
    options.byDefault = std::move(table);
    return absl::OkStatus();
  }
  std::string host = lowerAscii(key);
  if (!isHostAndPort(host))
    return refuse(where,
                  "the key must be a registry host, as in registry.example or a.example:5000, "
                  "without a scheme or a path");
  if (host == "index.docker.io") host = "docker.io";
  if (!options.registries.emplace(host, std::move(table)).second)
    return refuse(where, strCat("there is a second table for ", host));
  return absl::OkStatus();
}

}  // namespace

const RegistryOptions* Options::own(std::string_view host) const {
  if (const auto exact = registries.find(host); exact != registries.end()) return &exact->second;
  // The default port names the same registry, in the reference or in the table's key.
  for (const bool plain : {false, true}) {
    const std::string_view port = plain ? ":80" : ":443";
    const auto other = host.ends_with(port)
                           ? registries.find(host.substr(0, host.size() - port.size()))
                           : registries.find(strCat(host, port));
    if (other != registries.end() && other->second.plainHttp.value_or(false) == plain)
      return &other->second;
  }
  return nullptr;
}

const RegistryOptions* Options::find(std::string_view host) const {
  const RegistryOptions* const table = own(host);
  return table == nullptr && byDefault ? &*byDefault : table;
}

absl::StatusOr<Options> parseOptions(std::string_view json) {
  BERTH_ASSIGN_OR_RETURN(const bj::object given,
                         support::parseJsonObject(json.empty() ? "{}" : json, "the options"));
  Options options;
  BERTH_RETURN_IF_ERROR(readNumbers(given, options));
  BERTH_RETURN_IF_ERROR(readString(given, "user_agent", options.userAgent));
  if (options.userAgent.empty()) options.userAgent = kDefaultAgent;
  BERTH_RETURN_IF_ERROR(readString(given, "proxy", options.proxy));
  BERTH_RETURN_IF_ERROR(checkProxy(options.proxy));
  const bj::value* registries = given.if_contains("registries");
  if (registries == nullptr) return options;
  if (!registries->is_object())
    return refuse("registries", "must be a table of tables, one for each registry host");
  for (const auto& [key, value] : registries->get_object())
    BERTH_RETURN_IF_ERROR(addRegistry(std::string(key.data(), key.size()), value, options));
  return options;
}

}  // namespace berth::registry
