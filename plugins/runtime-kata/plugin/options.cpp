#include "options.hpp"

#include <cstdlib>
#include <sys/un.h>
#include <unistd.h>

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/own_folder.hpp"
#include "berth/support/status.hpp"

namespace berth::kata {

using support::optionError;
using support::strCat;

const std::string_view kOptionsDeclaration = R"([
  {"key": "shim", "type": "string", "default": "containerd-shim-kata-v2", "example": "/opt/kata/bin/containerd-shim-kata-v2",
   "help": "The containerd shim v2: a path, or a name that is looked up in PATH and /opt/kata/bin; containerd's names of runtimes do as well, as io.containerd.kata.v2."},
  {"key": "isolation", "type": "string", "default": "vm", "example": "namespaces",
   "help": "What the shim makes of a pod: \"vm\" for a virtual machine or another kernel of its own, \"namespaces\" for processes of this host, as containerd-shim-runc-v2 does."},
  {"key": "config_path", "type": "string", "default": "", "example": "/etc/kata-containers/configuration.toml",
   "help": "The shim's own configuration file, as /etc/kata-containers/configuration.toml. Empty: the shim finds it."},
  {"key": "binary", "type": "string", "default": "", "example": "/usr/bin/crun",
   "help": "With isolation = \"namespaces\": the OCI runtime that the shim executes. Empty: the shim's own choice."},
  {"key": "root", "type": "string", "default": "", "example": "/run/berth-2/kata",
   "help": "Where the plugin keeps its state, on tmpfs. Empty: where the host keeps the state of this runtime."},
  {"key": "keeper", "type": "string", "default": "", "example": "/opt/berth/libexec/berth-keeper",
   "help": "The program berth-keeper. Empty: the one installed with the plugin."},
  {"key": "netns_directory", "type": "string", "default": "/run/netns", "example": "/var/run/netns",
   "help": "Where the pods' network namespaces can be found by other programs."},
  {"key": "pod_annotations", "type": "array", "default": ["io.katacontainers.*"], "example": ["io.katacontainers.*", "example.org/team"],
   "help": "Annotations that pods may set for the shim; a * at the end stands for anything. It gets to see those of default_annotations besides."},
  {"key": "create_timeout", "type": "integer", "default": 60, "example": 120,
   "help": "Seconds that the shim may take to start a pod's sandbox, boot included, or a container."},
  {"key": "debug", "type": "boolean", "default": false, "example": true,
   "help": "Have the shim write more into its log, shim.log in the pod's folder."}
])";

namespace {

constexpr int64_t kLongestTimeout = 3600;
// Of a socket's name below the root: "/s/", sixteen digits.
constexpr size_t kSocketNameLength = 3 + 16;

absl::Status checkAbsolute(std::string_view option, const std::string& path) {
  if (path.starts_with('/')) return absl::OkStatus();
  return optionError(option, strCat("\"", path, "\" is no absolute path"));
}

absl::StatusOr<Isolation> isolationOf(const std::string& text) {
  if (text == "vm") return Isolation::kVirtualMachine;
  if (text == "namespaces") return Isolation::kNamespaces;
  return optionError("isolation", strCat("is \"", text, "\"; it must be \"vm\" or \"namespaces\""));
}

absl::Status check(const Options& options) {
  if (options.shim.empty()) {
    return optionError("shim", "is empty; set it to a shim, as \"containerd-shim-kata-v2\"");
  }
  BERTH_RETURN_IF_ERROR(checkAbsolute("root", options.root));
  if (options.root.size() + kSocketNameLength >= sizeof(sockaddr_un::sun_path)) {
    return optionError("root", "is too long: the names of sockets below it have at most 107 bytes");
  }
  BERTH_RETURN_IF_ERROR(checkAbsolute("netns_directory", options.netnsDirectory));
  if (!options.keeper.empty()) BERTH_RETURN_IF_ERROR(checkAbsolute("keeper", options.keeper));
  if (!options.configPath.empty()) {
    BERTH_RETURN_IF_ERROR(checkAbsolute("config_path", options.configPath));
  }
  if (!options.binary.empty() && options.isolation == Isolation::kVirtualMachine) {
    return optionError("binary", "is for isolation = \"namespaces\" alone");
  }
  if (options.createTimeout < 1 || options.createTimeout > kLongestTimeout) {
    return optionError("create_timeout", strCat("must be 1 to ", kLongestTimeout, " seconds"));
  }
  return absl::OkStatus();
}

// "io.containerd.kata.v2" is containerd's name for what containerd-shim-kata-v2 runs: its last two
// parts count.
std::string shimProgram(const std::string& option) {
  const std::vector<std::string> parts = absl::StrSplit(option, '.');
  if (option.find('/') != std::string::npos || parts.size() < 3) return option;
  const std::string& name = parts[parts.size() - 2];
  const std::string& version = parts.back();
  if (name.empty() || version.size() < 2 || version[0] != 'v' ||
      version.find_first_not_of("0123456789", 1) != std::string::npos) {
    return option;
  }
  return strCat("containerd-shim-", name, "-", version);
}

}  // namespace

absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultRoot) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::object given,
                         support::parseJsonObject(json, "the options of runtime-kata"));
  Options options;
  options.shim = support::stringMember(given, "shim", "containerd-shim-kata-v2");
  BERTH_ASSIGN_OR_RETURN(options.isolation,
                         isolationOf(support::stringMember(given, "isolation", "vm")));
  options.configPath = support::stringMember(given, "config_path");
  options.binary = support::stringMember(given, "binary");
  options.root = support::stringMember(given, "root");
  if (options.root.empty()) options.root = defaultRoot;
  options.keeper = support::stringMember(given, "keeper");
  options.netnsDirectory = support::stringMember(given, "netns_directory", "/run/netns");
  BERTH_ASSIGN_OR_RETURN(options.podAnnotations, support::stringsOption(given, "pod_annotations"));
  options.createTimeout = support::intMember(given, "create_timeout", 60);
  options.debug = support::boolMember(given, "debug");
  BERTH_RETURN_IF_ERROR(check(options));
  return options;
}

// Plugins lie in <prefix>/<libdir>/berth/plugins and programs for them in <prefix>/libexec/berth;
// a libdir has one part or, with Debian's multiarch, two. A build folder is such a prefix too.
absl::StatusOr<std::string> findKeeper(const std::string& option) {
  constexpr int kDeepestLibdir = 4;
  std::vector<std::string> places{option};
  if (option.empty()) {
    places.clear();
    std::string directory = support::ownFolder(reinterpret_cast<const void*>(&findKeeper));
    for (int up = 0; up <= kDeepestLibdir && !directory.empty(); ++up) {
      if (up < 2) places.push_back(directory + "/berth-keeper");
      if (up > 2) places.push_back(directory + "/libexec/berth/berth-keeper");
      directory.resize(directory.rfind('/'));
    }
  }
  for (const std::string& place : places) {
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return absl::FailedPreconditionError(
      strCat("option keeper: no executable berth-keeper at ", absl::StrJoin(places, " or ")));
}

absl::StatusOr<std::string> findShim(const std::string& option) {
  if (option.find('/') != std::string::npos) {
    if (::access(option.c_str(), X_OK) == 0) return option;
    return absl::FailedPreconditionError(
        strCat("option shim: ", option, " is no program that can be executed"));
  }
  const char* path = std::getenv("PATH");
  std::vector<std::string> folders = absl::StrSplit(path != nullptr ? path : "/usr/bin", ':');
  folders.emplace_back("/opt/kata/bin");
  const std::string program = shimProgram(option);
  for (const std::string& folder : folders) {
    std::string place = strCat(folder, "/", program);
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return absl::FailedPreconditionError(strCat("option shim: there is no ", program, " in ",
                                              absl::StrJoin(folders, ":"),
                                              "; install it, or name its path"));
}

bool matchesAny(std::string_view key, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (pattern == key) return true;
    if (pattern.ends_with('*') &&
        key.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1))) {
      return true;
    }
  }
  return false;
}

}  // namespace berth::kata
