// One registry's table.
#include <algorithm>
#include <unistd.h>

#include "berth/support/options.hpp"
#include "berth/support/status.hpp"
#include "berth/support/suggestion.hpp"
#include "berth/support/utf8.hpp"
#include "options.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

namespace bj = boost::json;
using support::strCat;

constexpr auto refuse = support::optionError;

absl::Status readMirrors(const bj::value& value, const std::string& where,
                         std::vector<Url>& mirrors) {
  const bj::array* array = value.if_array();
  if (array == nullptr) return refuse(where, "must be an array of URLs");
  for (size_t i = 0; i < array->size(); ++i) {
    const std::string place = strCat(where, "[", i, "]");
    const bj::string* text = (*array)[i].if_string();
    if (text == nullptr) return refuse(place, "must be a string with a URL");
    auto url = parseUrl(std::string_view(text->data(), text->size()));
    if (!url.ok())
      return refuse(place, strCat(url.status().message(), "; an example: https://mirror.example"));
    if (!url->query.empty()) return refuse(place, "a mirror's URL must not have a query (?…)");
    while (!url->path.empty() && url->path.back() == '/') url->path.pop_back();
    if (std::find(mirrors.begin(), mirrors.end(), *url) != mirrors.end())
      return refuse(place, "the mirror is named twice");
    mirrors.push_back(*std::move(url));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> readFlag(const bj::value& value, const std::string& where) {
  if (!value.is_bool()) return refuse(where, "must be true or false");
  return value.get_bool();
}

absl::Status readFile(const bj::value& value, const std::string& where, std::string& path) {
  const bj::string* text = value.if_string();
  if (text == nullptr) return refuse(where, "must be a string with a file's path");
  path.assign(text->data(), text->size());
  if (path.empty() || path.front() != '/')
    return refuse(where, "must be an absolute path of a PEM file");
  if (::access(path.c_str(), R_OK) != 0) {
    const absl::Status status = support::errnoStatus(errno, strCat("open ", path));
    return refuse(where, support::fromAbsl(status.message()));
  }
  return absl::OkStatus();
}

bool isHeaderName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// Headers that the plugin sets by itself, or that would change how a message is framed.
bool isReserved(std::string_view name) {
  constexpr std::string_view kReserved[] = {
      "accept", "accept-encoding",   "authorization", "connection", "content-length", "host",
      "range",  "transfer-encoding", "user-agent",    "te",         "connection",     "upgrade"};
  return std::find(std::begin(kReserved), std::end(kReserved), lowerAscii(name)) !=
         std::end(kReserved);
}

absl::Status readHeaders(const bj::value& value, const std::string& where,
                         std::vector<std::pair<std::string, std::string>>& headers) {
  const bj::object* table = value.if_object();
  if (table == nullptr) return refuse(where, "must be a table of header names and values");
  for (const auto& [key, content] : *table) {
    const std::string name(key.data(), key.size());
    const std::string place = support::optionPath(where, support::oneLine(name, 128));
    if (!isHeaderName(name)) return refuse(place, "is not the name of a header");
    if (isReserved(name)) return refuse(place, "the plugin sets this header by itself");
    const bj::string* text = content.if_string();
    if (text == nullptr) return refuse(place, "must be a string");
    const std::string header(text->data(), text->size());
    // A line break would start a header of its own.
    if (std::any_of(header.begin(), header.end(),
                    [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; }))
      return refuse(place, "must not contain control characters");
    headers.emplace_back(name, header);
  }
  return absl::OkStatus();
}

absl::Status readLookasideUrl(const bj::value& value, const std::string& where, Lookaside& store) {
  const bj::string* text = value.if_string();
  if (text == nullptr) return refuse(where, "must be a string with a URL");
  auto parsed = parseLookaside(std::string_view(text->data(), text->size()));
  if (!parsed.ok()) return refuse(where, support::fromAbsl(parsed.status().message()));
  store = *std::move(parsed);
  return absl::OkStatus();
}

absl::Status readMember(std::string_view key, const bj::value& value, const std::string& where,
                        RegistryOptions& table) {
  ConnectionOptions& connection = table.connection;
  if (key == "mirrors") return readMirrors(value, where, table.mirrors);
  if (key == "ca") return readFile(value, where, connection.ca);
  if (key == "client_cert") return readFile(value, where, connection.clientCert);
  if (key == "client_key") return readFile(value, where, connection.clientKey);
  if (key == "headers") return readHeaders(value, where, connection.headers);
  if (key == "lookaside") return readLookasideUrl(value, where, table.lookaside);
  if (key == "fallback") {
    BERTH_ASSIGN_OR_RETURN(const bool wanted, readFlag(value, where));
    table.fallback = wanted ? Fallback::kRegistry : Fallback::kNone;
    return absl::OkStatus();
  }
  if (key == "blocked") {
    BERTH_ASSIGN_OR_RETURN(table.blocked, readFlag(value, where));
    return absl::OkStatus();
  }
  if (key == "insecure") {
    BERTH_ASSIGN_OR_RETURN(connection.insecure, readFlag(value, where));
    return absl::OkStatus();
  }
  if (key == "plain_http") {
    BERTH_ASSIGN_OR_RETURN(table.plainHttp, readFlag(value, where));
    return absl::OkStatus();
  }
  const std::string near =
      support::nearest(key, {"mirrors", "fallback", "blocked", "insecure", "plain_http", "ca",
                             "client_cert", "client_key", "headers", "lookaside"});
  if (!near.empty()) return refuse(where, strCat("is not known; did you mean ", near, "?"));
  return refuse(where,
                "is not known; known are mirrors, fallback, blocked, insecure, plain_http, ca, "
                "client_cert, client_key, headers and lookaside");
}

absl::Status checkTogether(const RegistryOptions& table, const std::string& where) {
  const ConnectionOptions& connection = table.connection;
  if (connection.clientCert.empty() != connection.clientKey.empty())
    return refuse(where, "client_cert and client_key need each other");
  if (table.fallback == Fallback::kNone && table.mirrors.empty())
    return refuse(where, "fallback = false leaves nothing to ask without mirrors");
  const bool tls = connection.insecure || !connection.ca.empty() || !connection.clientCert.empty();
  const bool tlsMirror = std::any_of(table.mirrors.begin(), table.mirrors.end(),
                                     [](const Url& url) { return url.scheme == "https"; });
  if (table.plainHttp.value_or(false) && tls && !tlsMirror)
    return refuse(where,
                  "plain_http excludes insecure, ca, client_cert and client_key, which are "
                  "about TLS");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RegistryOptions> parseRegistryOptions(const bj::value& value,
                                                     const std::string& where) {
  const bj::object* given = value.if_object();
  if (given == nullptr) return refuse(where, "must be a table");
  RegistryOptions table;
  for (const auto& [key, member] : *given) {
    const std::string_view name(key.data(), key.size());
    BERTH_RETURN_IF_ERROR(
        readMember(name, member, support::optionPath(where, support::oneLine(name, 128)), table));
  }
  BERTH_RETURN_IF_ERROR(checkTogether(table, where));
  return table;
}

}  // namespace berth::registry
