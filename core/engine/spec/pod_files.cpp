#include "engine/spec/pod_files.hpp"

#include <absl/strings/escaping.h>
#include <absl/strings/str_join.h>

#include "berth/support/address.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

constexpr size_t kMaximumHostname = 64;  // HOST_NAME_MAX

// An IPv6 address may name its link: "fe80::1%eth0".
bool isServer(std::string_view text) {
  if (support::isAddress(text)) return true;
  const size_t zone = text.find('%');
  return zone != std::string_view::npos && zone + 1 < text.size() &&
         support::isAddress(text.substr(0, zone)) && text.substr(0, zone).find(':') < zone;
}

absl::Status checkWord(const std::string& word, std::string_view kind) {
  BERTH_RETURN_IF_ERROR(checkText(word, support::strCat("dns_config: ", kind)));
  const bool blank = word.find_first_of(" \t\r\n\v\f") != std::string::npos;
  if (!word.empty() && !blank) return absl::OkStatus();
  return absl::InvalidArgumentError(support::strCat(
      "dns_config: ", kind, " \"", absl::CEscape(word), "\" is empty or has blanks"));
}

}  // namespace

absl::StatusOr<std::string> podHostname(const runtime::v1::PodSandboxConfig& pod,
                                        const common::HostFacts& host) {
  const std::string& name = pod.hostname();
  if (name.empty()) return host.hostname;
  const bool valid = name.size() <= kMaximumHostname && !name.starts_with('-') &&
                     !name.starts_with('.') && std::all_of(name.begin(), name.end(), [](char c) {
                       return common::isAlphanumeric(c) || c == '-' || c == '.' || c == '_';
                     });
  if (valid) return name;
  return absl::InvalidArgumentError(
      support::strCat("hostname \"", absl::CEscape(name), "\" is invalid: expected at most ",
                      kMaximumHostname, " letters, digits, dots and hyphens"));
}

std::string hostnameFile(const std::string& hostname) {
  return hostname + "\n";
}

std::string hostsFile(const std::string& hostname, const std::vector<std::string>& addresses) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  for (const std::string& address : addresses)
    absl::StrAppend(&text, address, "\t", hostname, "\n");
  return text;
}

absl::StatusOr<std::string> resolvConfFile(const runtime::v1::PodSandboxConfig& pod,
                                           const std::string& hostContent) {
  const runtime::v1::DNSConfig& dns = pod.dns_config();
  if (dns.servers().empty() && dns.searches().empty() && dns.options().empty()) return hostContent;
  for (const std::string& server : dns.servers()) {
    BERTH_RETURN_IF_ERROR(checkWord(server, "server"));
    if (!isServer(server))
      return absl::InvalidArgumentError(
          support::strCat("dns_config: server \"", server, "\" is not an IP address"));
  }
  for (const std::string& search : dns.searches())
    BERTH_RETURN_IF_ERROR(checkWord(search, "search domain"));
  for (const std::string& option : dns.options())
    BERTH_RETURN_IF_ERROR(checkWord(option, "option"));

  std::string text;
  if (!dns.searches().empty())
    absl::StrAppend(&text, "search ", absl::StrJoin(dns.searches(), " "), "\n");
  for (const std::string& server : dns.servers())
    absl::StrAppend(&text, "nameserver ", server, "\n");
  if (!dns.options().empty())
    absl::StrAppend(&text, "options ", absl::StrJoin(dns.options(), " "), "\n");
  return text;
}

}  // namespace berth::spec
