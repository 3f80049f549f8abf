#include "options.hpp"

#include <algorithm>
#include <net/if.h>

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/status.hpp"

namespace berth::cni {

const std::string_view kDeclaredOptions = R"json([
  {"key": "conf_dir", "type": "string", "default": "/etc/cni/net.d", "example": "/etc/berth/net.d",
   "help": "Where network configurations are: *.conflist, *.conf, *.json; watched."},
  {"key": "bin_dirs", "type": "array", "default": ["/opt/cni/bin", "/usr/lib/cni"], "example": ["/opt/cni/bin"],
   "help": "Where CNI plugins are looked for, in this order; watched."},
  {"key": "cache_dir", "type": "string", "default": "", "example": "/var/lib/berth-2/cni",
   "help": "Where attachments are recorded before they are made; must survive a reboot. Empty: where the host keeps the files of this network."},
  {"key": "network_name", "type": "string", "default": "", "example": "k8s-pod-network",
   "help": "The network to use; empty: the first valid one in the order of the file names."},
  {"key": "template", "type": "string", "default": "", "example": "/etc/berth/10-pods.conflist.template",
   "help": "A conflist template, filled in and written to conf_dir when the node's pod CIDR becomes known; empty: none."},
  {"key": "max_concurrent", "type": "integer", "default": 0, "example": 8,
   "help": "How many pods are attached or detached at once; 0: no limit."},
  {"key": "interface", "type": "string", "default": "eth0", "example": "net0",
   "help": "The name of the interface inside the pod."}
])json";

namespace {

namespace bj = boost::json;
using support::strCat;

constexpr auto refuse = support::optionError;

absl::Status readString(const bj::object& options, std::string_view key, std::string& out) {
  const bj::value* value = options.if_contains(key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_string()) return refuse(key, "must be a string");
  out = support::stringMember(options, key);
  return out.find('\0') == std::string::npos ? absl::OkStatus()
                                             : refuse(key, "must not contain NUL");
}

absl::Status checkPath(std::string_view key, std::string_view path) {
  return path.starts_with('/') ? absl::OkStatus() : refuse(key, "must be an absolute path");
}

absl::Status readBinDirs(const bj::object& options, std::vector<std::string>& out) {
  if (!options.contains("bin_dirs")) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(out, support::stringsOption(options, "bin_dirs"));
  if (out.empty()) return refuse("bin_dirs", "must be a list of at least one directory");
  for (size_t i = 0; i < out.size(); ++i) {
    const std::string place = strCat("bin_dirs[", i, "]");
    BERTH_RETURN_IF_ERROR(checkPath(place, out[i]));
    // The list reaches the plugins as CNI_PATH, whose parts are separated by colons.
    if (out[i].find(':') != std::string::npos)
      return refuse(place, strCat("\"", out[i], "\" must not contain a colon"));
  }
  return absl::OkStatus();
}

absl::Status readMaxConcurrent(const bj::object& options, unsigned& out) {
  if (!options.contains("max_concurrent")) return absl::OkStatus();
  constexpr int64_t kMost = 10'000;
  const int64_t given = support::intMember(options, "max_concurrent", -1);
  if (given < 0 || given > kMost)
    return refuse("max_concurrent", strCat("must be a whole number from 0 to ", kMost));
  out = static_cast<unsigned>(given);
  return absl::OkStatus();
}

}  // namespace

bool isInterfaceName(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == ':' || static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
  });
}

bool isIdentifier(std::string_view name) {
  const auto isAlphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || !isAlphanumeric(name.front())) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return isAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultCacheDir) {
  BERTH_ASSIGN_OR_RETURN(const bj::object given,
                         support::parseJsonObject(json.empty() ? "{}" : json, "the options"));
  Options options;
  BERTH_RETURN_IF_ERROR(readString(given, "conf_dir", options.confDir));
  BERTH_RETURN_IF_ERROR(checkPath("conf_dir", options.confDir));
  BERTH_RETURN_IF_ERROR(readBinDirs(given, options.binDirs));
  BERTH_RETURN_IF_ERROR(readString(given, "cache_dir", options.cacheDir));
  if (options.cacheDir.empty()) options.cacheDir = defaultCacheDir;
  BERTH_RETURN_IF_ERROR(checkPath("cache_dir", options.cacheDir));
  BERTH_RETURN_IF_ERROR(readString(given, "network_name", options.networkName));
  if (!options.networkName.empty() && !isIdentifier(options.networkName))
    return refuse("network_name", "must be letters, digits, \"_\", \".\" and \"-\"");
  BERTH_RETURN_IF_ERROR(readString(given, "template", options.podCidrTemplate));
  if (!options.podCidrTemplate.empty())
    BERTH_RETURN_IF_ERROR(checkPath("template", options.podCidrTemplate));
  BERTH_RETURN_IF_ERROR(readMaxConcurrent(given, options.maxConcurrent));
  BERTH_RETURN_IF_ERROR(readString(given, "interface", options.interface));
  if (!isInterfaceName(options.interface) || options.interface == "lo")
    return refuse("interface",
                  "must be an interface name of at most 15 characters, and not \"lo\"");
  return options;
}

}  // namespace berth::cni
