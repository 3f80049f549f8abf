#include "config/rules.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <sys/un.h>

#include "berth/support/status.hpp"
#include "common/capability_names.hpp"
#include "images/short_names.hpp"

namespace berth::config {
namespace {

using support::strCat;

constexpr std::string_view kLowerAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";

bool consistsOf(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool isAbsolute(std::string_view path) {
  return path.starts_with('/') && path.find('\0') == std::string_view::npos;
}

// A DNS label, which is what the handler of a RuntimeClass must be (RFC 1123).
bool isLabel(std::string_view name) {
  return !name.empty() && name.size() <= 63 && consistsOf(name, strCat(kLowerAndDigits, "-")) &&
         name.front() != '-' && name.back() != '-';
}

bool isPluginName(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name.front() != '.' &&
         consistsOf(name, strCat(kLowerAndDigits, "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-"));
}

bool isPlatform(std::string_view platform) {
  size_t parts = 0;
  while (parts < 4) {
    const size_t slash = platform.find('/');
    const std::string_view part = platform.substr(0, slash);
    if (part.empty() || !consistsOf(part, strCat(kLowerAndDigits, "._-"))) return false;
    ++parts;
    if (slash == std::string_view::npos) break;
    platform.remove_prefix(slash + 1);
  }
  return parts == 2 || parts == 3;
}

bool isEnvironmentEntry(std::string_view entry) {
  return entry.find('=') != std::string_view::npos && entry.front() != '=' &&
         entry.find('\0') == std::string_view::npos;
}

// The bytes of an address in network order; empty when it is none of this family.
std::string addressBytes(int family, std::string_view text) {
  char bytes[sizeof(in6_addr)];
  if (text.find('\0') != std::string_view::npos) return {};
  if (inet_pton(family, std::string(text).c_str(), bytes) != 1) return {};
  return std::string(bytes, family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr));
}

Rule orEmpty(Rule rule) {
  return {.expects = strCat("an empty string or ", rule.expects),
          .accepts = [accepts = std::move(rule.accepts)](std::string_view text) {
            return text.empty() || accepts(text);
          }};
}

}  // namespace

Rule anyText() {
  return {.expects = "a string"};
}

Rule nonEmptyText() {
  return {.expects = "a string that is not empty",
          .accepts = [](std::string_view text) { return !text.empty(); }};
}

Rule absolutePath() {
  return {.expects = "an absolute path", .accepts = isAbsolute};
}

Rule absolutePathOrEmpty() {
  return orEmpty(absolutePath());
}

Rule socketPath() {
  // The kernel's limit for the address of a Unix socket, with its terminating zero.
  constexpr size_t kMaximum = sizeof(sockaddr_un::sun_path) - 1;
  return {.expects = strCat("an absolute path of at most ", kMaximum, " bytes"),
          .accepts = [](std::string_view path) {
            return isAbsolute(path) && path.size() <= kMaximum && path.back() != '/';
          }};
}

Rule ipAddress() {
  return {.expects = "an IPv4 or IPv6 address, such as \"127.0.0.1\"",
          .accepts = [](std::string_view text) {
            return !addressBytes(AF_INET, text).empty() || !addressBytes(AF_INET6, text).empty();
          }};
}

bool isLoopback(std::string_view address) {
  const std::string four = addressBytes(AF_INET, address);
  if (!four.empty()) return four.front() == 127;
  return addressBytes(AF_INET6, address) == addressBytes(AF_INET6, "::1");
}

Rule oneOf(std::vector<std::string> choices) {
  std::string expects = "one of";
  for (const std::string& choice : choices)
    expects += strCat(expects.back() == 'f' ? " \"" : ", \"", choice, "\"");
  return {.expects = std::move(expects),
          .accepts = [choices = std::move(choices)](std::string_view text) {
            return std::find(choices.begin(), choices.end(), text) != choices.end();
          }};
}

Rule between(int64_t minimum, int64_t maximum) {
  return {.expects = strCat("an integer from ", minimum, " to ", maximum),
          .minimum = minimum,
          .maximum = maximum};
}

Rule permissionBits() {
  return {.expects = "a string of octal digits from \"0000\" to \"0777\"",
          .accepts = [](std::string_view text) {
            return !text.empty() && text.size() <= 4 && consistsOf(text, "01234567") &&
                   (text.size() < 4 || text.front() == '0');
          }};
}

Rule platformOrEmpty() {
  return orEmpty(
      {.expects = "os/architecture[/variant], such as \"linux/amd64\"", .accepts = isPlatform});
}

Rule pluginName() {
  return {.expects = "the name of a plugin: letters, digits, \".\", \"_\" and \"-\"",
          .accepts = isPluginName};
}

Rule instanceName() {
  return {.expects = "a name of lower-case letters, digits and inner \"-\", at most 63",
          .accepts = isLabel};
}

Rule instanceNameOrEmpty() {
  return orEmpty(instanceName());
}

Rule tableOfOptions() {
  return {.expects = "a table"};
}

Rule listOf(Rule element, int64_t minimum) {
  element.minimum = minimum;
  element.maximum = 4096;
  return element;
}

Rule capabilities() {
  return listOf({.expects = "the name of a capability, such as \"CAP_CHOWN\"",
                 .accepts = [](std::string_view name) {
                   return common::capabilityNumber(name).has_value();
                 }});
}

Rule ulimits() {
  return listOf({.expects = "a limit such as \"nofile=1024:4096\"",
                 .accepts = [](std::string_view text) { return parseUlimit(text).ok(); }});
}

Rule environment() {
  return listOf({.expects = "an entry NAME=value", .accepts = isEnvironmentEntry});
}

Rule sysctls() {
  return listOf({.expects = "a kernel parameter such as \"net.ipv4.ip_forward=1\"",
                 .accepts = isEnvironmentEntry});
}

Rule annotationEntries() {
  return listOf({.expects = "an annotation such as \"example.org/name=value\"",
                 .accepts = isEnvironmentEntry});
}

Rule searchRegistries() {
  return listOf({.expects = "a registry such as \"registry.example:5000\"",
                 .accepts = images::isSearchRegistry});
}

Rule shortNames() {
  return listOf({.expects = "a short name and what it stands for, such as "
                            "\"app=registry.example/team/app\"",
                 .accepts = images::isShortNameAlias});
}

}  // namespace berth::config
