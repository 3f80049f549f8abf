#include "reference.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "digest.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;

constexpr size_t kNameLimit = 255;
constexpr size_t kTagLimit = 128;
constexpr size_t kHostLimit = 255;
constexpr size_t kLabelLimit = 63;

bool isDigit(char c) {
  return c >= '0' && c <= '9';
}
bool isLower(char c) {
  return c >= 'a' && c <= 'z';
}
bool isAlphanumeric(char c) {
  return isDigit(c) || isLower(c) || (c >= 'A' && c <= 'Z');
}
bool isNameCharacter(char c) {
  return isDigit(c) || isLower(c);
}

bool isPort(std::string_view text) {
  unsigned value = 0;
  // With leading zeros one port would have many names.
  if (text.empty() || text.size() > 5 || text.front() == '0' ||
      !std::all_of(text.begin(), text.end(), isDigit))
    return false;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value >= 1 && value <= 65535;
}

bool isIpv6(std::string_view text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool isLabel(std::string_view text) {
  return !text.empty() && text.size() <= kLabelLimit && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return isAlphanumeric(c) || c == '-'; });
}

bool isDomain(std::string_view text) {
  while (true) {
    const size_t dot = text.find('.');
    if (!isLabel(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// One separator between runs of letters and digits: '.', '_', '__', or any number of '-'.
bool isSeparator(std::string_view text) {
  return text == "." || text == "_" || text == "__" ||
         std::all_of(text.begin(), text.end(), [](char c) { return c == '-'; });
}

bool isPathComponent(std::string_view text) {
  if (text.empty() || !isNameCharacter(text.front()) || !isNameCharacter(text.back())) return false;
  size_t i = 0;
  while (i < text.size()) {
    const size_t start = i;
    while (i < text.size() && !isNameCharacter(text[i])) ++i;
    if (i > start && !isSeparator(text.substr(start, i - start))) return false;
    while (i < text.size() && isNameCharacter(text[i])) ++i;
  }
  return true;
}

bool isPath(std::string_view text) {
  while (true) {
    const size_t slash = text.find('/');
    if (!isPathComponent(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool isTag(std::string_view text) {
  return !text.empty() && text.size() <= kTagLimit && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return isAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

}  // namespace

bool namesRegistry(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view host = text.substr(0, slash);
  // A colon without a port behind it ends a scheme: "file:///…" names something else.
  if (host.ends_with(':')) return false;
  return host == "localhost" || host.find_first_of(".:") != std::string_view::npos;
}

bool isHostAndPort(std::string_view text) {
  if (text.empty() || text.size() > kHostLimit) return false;
  if (text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos || !isIpv6(text.substr(1, end - 1))) return false;
    const std::string_view rest = text.substr(end + 1);
    return rest.empty() || (rest.front() == ':' && isPort(rest.substr(1)));
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos && !isPort(text.substr(colon + 1))) return false;
  return isDomain(text.substr(0, colon));
}

std::string_view hostWithoutPort(std::string_view host) {
  if (!host.empty() && host.front() == '[') return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.rfind(':'));
}

bool isLoopback(std::string_view host) {
  const std::string name(hostWithoutPort(host));
  if (equalIgnoringCase(name, "localhost")) return true;
  in_addr four{};
  if (::inet_pton(AF_INET, name.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six{};
  return ::inet_pton(AF_INET6, name.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

absl::StatusOr<Reference> parseReference(std::string_view text) {
  const auto refuse = [&](const std::string& reason) {
    return absl::InvalidArgumentError(
        strCat("read the image reference \"", support::oneLine(text, 512), "\": ", reason));
  };
  if (!namesRegistry(text))
    return refuse("it must start with a registry host, as in registry.example/app:1.0");
  const size_t slash = text.find('/');
  Reference result;
  result.host = lowerAscii(text.substr(0, slash));
  if (!isHostAndPort(result.host))
    return refuse(
        strCat("\"", support::oneLine(result.host, 256), "\" is not a host or host:port"));

  std::string_view rest = text.substr(slash + 1);
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    result.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    const absl::Status valid = checkDigest(result.digest);
    if (!valid.ok()) return refuse(std::string(valid.message()));
  }
  if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    result.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!isTag(result.tag))
      return refuse(strCat("\"", support::oneLine(result.tag, kTagLimit),
                           "\" is not a tag: letters, digits, '_', '.' and '-', at most 128, the "
                           "first no '.' or '-'"));
  }
  result.path = rest;
  if (result.path.size() > kNameLimit || !isPath(result.path))
    return refuse(strCat("\"", support::oneLine(result.path, kNameLimit),
                         "\" is not a repository: lowercase letters and digits, joined by '/', "
                         "'.', '_', '__' or '-', at most 255"));
  if (result.tag.empty() && result.digest.empty())
    return refuse("it has neither a tag nor a digest; add one, as in :latest");
  if (result.host == "index.docker.io") result.host = "docker.io";
  if (result.host == "docker.io" && result.path.find('/') == std::string::npos)
    result.path.insert(0, "library/");
  return result;
}

}  // namespace berth::registry
