#include "streaming/request.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>

#include <absl/strings/match.h>
#include <boost/beast/http/rfc7230.hpp>

#include "berth/support/status.hpp"

namespace berth::streaming {

namespace http = boost::beast::http;
namespace v1 = runtime::v1;
using support::strCat;
using ErrorStream = CommandProtocol::ErrorStream;
using Resize = CommandProtocol::Resize;

namespace {

// Two channels a port, and one byte for the channel's number: in text an ASCII character from '0'
// on.
constexpr int kMostBinaryPorts = 127;
constexpr int kMostBase64Ports = 39;

constexpr std::string_view kStreamVersion = "X-Stream-Protocol-Version";
constexpr std::string_view kAcceptedVersions = "X-Accepted-Stream-Protocol-Versions";
constexpr std::string_view kSpdy = "SPDY/3.1";
constexpr std::string_view kAllUpgrades = "SPDY/3.1, websocket";
constexpr std::string_view kWebSocketVersion = "13";
// Base64 of 16 bytes.
constexpr size_t kWebSocketKeySize = 24;

// A version of a protocol within a carrier, by the name that client and server agree on.
struct Version {
  std::string_view name;
  ErrorStream errorStream = ErrorStream::kJson;
  Resize resize = Resize::kStream;
  bool base64 = false;
  bool closeSignal = false;
  Carrier carrier = Carrier::kWebSocket;
};

// The last of each list is what a client gets that names none.
constexpr Version kSpdyCommands[] = {
    {.name = "v4.channel.k8s.io"},
    {.name = "v3.channel.k8s.io", .errorStream = ErrorStream::kText},
    {.name = "v2.channel.k8s.io", .errorStream = ErrorStream::kText, .resize = Resize::kNone},
    {.name = "channel.k8s.io", .errorStream = ErrorStream::kText, .resize = Resize::kNone}};
constexpr Version kSpdyPorts[] = {{.name = "portforward.k8s.io"}};
constexpr Version kWebSocketCommands[] = {
    {.name = "v5.channel.k8s.io", .closeSignal = true},
    {.name = "v4.channel.k8s.io"},
    {.name = "v4.base64.channel.k8s.io", .base64 = true},
    {.name = "base64.channel.k8s.io", .errorStream = ErrorStream::kText, .base64 = true},
    {.name = "channel.k8s.io", .errorStream = ErrorStream::kText}};
constexpr Version kWebSocketPorts[] = {
    {.name = "SPDY/3.1+portforward.k8s.io", .carrier = Carrier::kSpdyInWebSocket},
    {.name = "v4.base64.channel.k8s.io", .base64 = true},
    {.name = "v4.channel.k8s.io"}};

std::string_view text(boost::beast::string_view value) {
  return {value.data(), value.size()};
}

// All values of a header that lists tokens, over all its lines.
std::vector<std::string> listOf(const HttpRequest& request, std::string_view name) {
  std::vector<std::string> values;
  const auto [begin, end] = request.equal_range(name);
  for (auto line = begin; line != end; ++line) {
    std::string_view rest = text(line->value());
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      std::string_view value = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
        value.remove_prefix(1);
      }
      while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.remove_suffix(1);
      }
      if (!value.empty()) values.emplace_back(value);
    }
  }
  return values;
}

bool lists(const HttpRequest& request, std::string_view name, std::string_view value) {
  const std::vector<std::string> values = listOf(request, name);
  return std::any_of(values.begin(), values.end(), [value](const std::string& one) {
    return absl::EqualsIgnoreCase(one, support::toAbsl(value));
  });
}

// The first of the client's that is known; null when none is.
const Version* choose(const std::vector<std::string>& wanted, std::span<const Version> known) {
  for (const std::string& name : wanted) {
    for (const Version& version : known) {
      if (version.name == name) return &version;
    }
  }
  return nullptr;
}

struct Target {
  std::string_view path;
  std::string_view token;
  std::string_view query;
};

std::optional<Target> targetOf(std::string_view target) {
  const size_t question = std::min(target.find('?'), target.size());
  Target parts;
  parts.query = target.substr(std::min(question + 1, target.size()));
  target = target.substr(0, question);
  if (target.empty() || target.front() != '/') return std::nullopt;
  target.remove_prefix(1);
  const size_t slash = target.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  parts.path = target.substr(0, slash);
  parts.token = target.substr(slash + 1);
  if (parts.path != "exec" && parts.path != "attach" && parts.path != "portforward") {
    return std::nullopt;
  }
  return parts;
}

// The ports of "port=80&port=81" or "port=80,81", for clients whose CRI call named none.
absl::Status addPorts(std::string_view query, v1::PortForwardRequest& request) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!pair.starts_with("port=")) continue;
    pair.remove_prefix(5);
    for (;;) {
      const std::string_view number = pair.substr(0, std::min(pair.find(','), pair.size()));
      uint16_t port = 0;
      const auto [last, error] = std::from_chars(number.begin(), number.end(), port);
      if (error != std::errc() || last != number.end() || port == 0) {
        return absl::InvalidArgumentError(
            strCat("\"", number, "\" in the parameter port is no port's number"));
      }
      request.add_port(port);
      if (number.size() == pair.size()) break;
      pair.remove_prefix(number.size() + 1);
    }
  }
  return absl::OkStatus();
}

Refusal noSuchVersion(const std::vector<std::string>& wanted, std::span<const Version> known,
                      std::string_view header) {
  Refusal refusal{http::status::forbidden,
                  strCat("none of the client's protocols is known here; ", header, " takes:"),
                  {}};
  if (header != kStreamVersion) refusal.status = http::status::bad_request;
  for (const Version& version : known) {
    refusal.reason += strCat(" ", version.name);
    if (header == kStreamVersion) {
      refusal.headers.emplace_back(kAcceptedVersions, version.name);
    }
  }
  refusal.reason += "; the client named:";
  for (const std::string& name : wanted) refusal.reason += strCat(" ", name);
  return refusal;
}

std::variant<Upgrade, Refusal> chooseVersion(const HttpRequest& request, Upgrade upgrade,
                                             std::string_view header,
                                             std::span<const Version> known) {
  const std::vector<std::string> wanted = listOf(request, header);
  const Version* version = wanted.empty() ? &known.back() : choose(wanted, known);
  if (version == nullptr) return noSuchVersion(wanted, known, header);
  if (!wanted.empty()) upgrade.subprotocol = version->name;
  if (upgrade.carrier == Carrier::kWebSocket) upgrade.carrier = version->carrier;
  upgrade.base64 = version->base64;
  upgrade.closeSignal = version->closeSignal;
  upgrade.command = {version->errorStream, version->resize};
  return upgrade;
}

Refusal badRequest(std::string_view reason) {
  return {http::status::bad_request, std::string(reason), {}};
}

Refusal noUpgrade() {
  return {http::status::upgrade_required,
          "this address speaks SPDY/3.1 or WebSocket: ask to upgrade the connection",
          {{"Upgrade", std::string(kAllUpgrades)}}};
}

// RFC 6455, 4.2.1. Whoever is refused only when the handshake is answered has lost its token.
std::optional<Refusal> checkHandshake(const HttpRequest& request) {
  if (request.method() != http::verb::get || request.count(http::field::host) == 0) {
    return badRequest("this is no WebSocket handshake: it takes GET and a header Host");
  }
  const std::string_view version = text(request[http::field::sec_websocket_version]);
  if (version != kWebSocketVersion) {
    return Refusal{
        http::status::upgrade_required,
        strCat("WebSocket is spoken here in version ", kWebSocketVersion, ", not in version \"",
               version, "\""),
        {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", std::string(kWebSocketVersion)}}};
  }
  if (request[http::field::sec_websocket_key].size() != kWebSocketKeySize) {
    return badRequest("the header Sec-WebSocket-Key is missing or has not 16 bytes in base64");
  }
  return std::nullopt;
}

std::variant<Upgrade, Refusal> chooseWebSocket(const HttpRequest& request, Upgrade upgrade,
                                               std::string_view query) {
  if (std::optional<Refusal> refusal = checkHandshake(request)) return *std::move(refusal);
  upgrade.carrier = Carrier::kWebSocket;
  auto* ports = std::get_if<v1::PortForwardRequest>(&upgrade.request);
  auto chosen = chooseVersion(request, std::move(upgrade), "Sec-WebSocket-Protocol",
                              ports == nullptr ? std::span<const Version>(kWebSocketCommands)
                                               : std::span<const Version>(kWebSocketPorts));
  auto* accepted = std::get_if<Upgrade>(&chosen);
  if (accepted == nullptr || accepted->carrier != Carrier::kWebSocket) return chosen;
  ports = std::get_if<v1::PortForwardRequest>(&accepted->request);
  if (ports == nullptr) return chosen;
  if (ports->port_size() == 0) {
    const absl::Status added = addPorts(query, *ports);
    if (!added.ok()) return badRequest(support::fromAbsl(added.message()));
  }
  const int most = accepted->base64 ? kMostBase64Ports : kMostBinaryPorts;
  if (ports->port_size() == 0 || ports->port_size() > most) {
    return badRequest(strCat("forwarding over WebSocket channels takes 1 to ", most,
                             " ports, in the CRI request or as parameters port of the URL; here "
                             "are ",
                             ports->port_size()));
  }
  return chosen;
}

}  // namespace

std::variant<Upgrade, Refusal> readRequest(const HttpRequest& request, Tokens& tokens) {
  const std::optional<Target> target = targetOf(text(request.target()));
  if (!target) {
    return Refusal{http::status::not_found,
                   "there is nothing here: streams are at /exec/, /attach/ and /portforward/",
                   {}};
  }
  if (request.method() != http::verb::get && request.method() != http::verb::post) {
    return Refusal{http::status::method_not_allowed,
                   strCat(text(request.method_string()), " is not answered here: use GET or POST"),
                   {{"Allow", "GET, POST"}}};
  }
  std::optional<StreamRequest> waiting = tokens.find(target->path, target->token);
  if (!waiting) {
    return Refusal{http::status::not_found,
                   "this URL is not known, was used before or has expired: ask for a new one",
                   {}};
  }
  // An HTTP/1.0 request cannot ask for an upgrade (RFC 9110, 7.8).
  if (request.version() < 11 || !lists(request, "Connection", "upgrade")) return noUpgrade();
  Upgrade upgrade{.request = *std::move(waiting), .token = std::string(target->token)};
  if (lists(request, "Upgrade", "websocket")) {
    return chooseWebSocket(request, std::move(upgrade), target->query);
  }
  if (!lists(request, "Upgrade", kSpdy)) return noUpgrade();
  const bool ports = std::holds_alternative<v1::PortForwardRequest>(upgrade.request);
  return chooseVersion(
      request, std::move(upgrade), kStreamVersion,
      ports ? std::span<const Version>(kSpdyPorts) : std::span<const Version>(kSpdyCommands));
}

HttpResponse refusalResponse(const Refusal& refusal) {
  HttpResponse response(refusal.status, 11);
  for (const auto& [name, value] : refusal.headers) response.insert(name, value);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.set(http::field::connection,
               refusal.status == http::status::upgrade_required ? "close, upgrade" : "close");
  response.body() = strCat(refusal.reason, "\n");
  response.prepare_payload();
  return response;
}

HttpResponse spdyResponse(const Upgrade& upgrade) {
  HttpResponse response(http::status::switching_protocols, 11);
  response.set(http::field::connection, "Upgrade");
  response.set(http::field::upgrade, std::string(kSpdy));
  if (!upgrade.subprotocol.empty()) {
    response.set(std::string(kStreamVersion), upgrade.subprotocol);
  }
  return response;
}

}  // namespace berth::streaming
