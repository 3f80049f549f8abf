#include "options.hpp"

#include <unistd.h>

#include <absl/strings/str_join.h>

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/own_folder.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

const std::string_view kOptionsDeclaration = R"([
  {"key": "path", "type": "string", "default": "/usr/sbin/runc", "example": "/usr/bin/crun",
   "help": "The OCI runtime binary; where it is missing, its name is looked up in PATH."},
  {"key": "root", "type": "string", "default": "", "example": "/run/berth-2/runc",
   "help": "Where the plugin and the runtime binary keep their state, on tmpfs. Empty: where the host keeps the state of this runtime."},
  {"key": "monitor", "type": "string", "default": "", "example": "/opt/berth/libexec/berth-monitor",
   "help": "The program berth-monitor. Empty: the one installed with the plugin."},
  {"key": "netns_directory", "type": "string", "default": "/run/netns", "example": "/var/run/netns",
   "help": "Where the pods' network namespaces can be found by other programs."},
  {"key": "args", "type": "array", "default": [], "example": ["--debug"],
   "help": "Further global arguments of the runtime binary, as [\"--debug\"]."},
  {"key": "no_pivot", "type": "boolean", "default": false, "example": true,
   "help": "Do not use pivot_root(2): for hosts whose root is an initramfs."}
])";

namespace {

absl::Status checkAbsolute(std::string_view option, const std::string& path) {
  if (path.starts_with('/')) return absl::OkStatus();
  return support::optionError(option, strCat("\"", path, "\" is no absolute path"));
}

// Plugins lie in <prefix>/<libdir>/berth/plugins and programs for them in <prefix>/libexec/berth;
// a libdir has one part or, with Debian's multiarch, two. A build folder is such a prefix too.
std::vector<std::string> besidePlugin(std::string directory) {
  constexpr int kDeepestLibdir = 4;
  std::vector<std::string> places;
  for (int up = 0; up <= kDeepestLibdir && !directory.empty(); ++up) {
    if (up < 2) places.push_back(directory + "/berth-monitor");
    if (up > 2) places.push_back(directory + "/libexec/berth/berth-monitor");
    directory.resize(directory.rfind('/'));
  }
  return places;
}

}  // namespace

absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultRoot) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::object given,
                         support::parseJsonObject(json, "the options of runtime-runc"));
  Options options;
  options.path = support::stringMember(given, "path", "/usr/sbin/runc");
  options.root = support::stringMember(given, "root");
  options.monitor = support::stringMember(given, "monitor");
  options.netnsDirectory = support::stringMember(given, "netns_directory", "/run/netns");
  BERTH_ASSIGN_OR_RETURN(options.args, support::stringsOption(given, "args"));
  options.noPivot = support::boolMember(given, "no_pivot");
  if (options.path.empty()) {
    return support::optionError("path",
                                "is empty; set it to an OCI runtime, as \"/usr/sbin/runc\"");
  }
  if (options.root.empty()) options.root = defaultRoot;
  BERTH_RETURN_IF_ERROR(checkAbsolute("root", options.root));
  BERTH_RETURN_IF_ERROR(checkAbsolute("netns_directory", options.netnsDirectory));
  if (!options.monitor.empty()) BERTH_RETURN_IF_ERROR(checkAbsolute("monitor", options.monitor));
  return options;
}

absl::StatusOr<std::string> findMonitor(const std::string& option) {
  std::vector<std::string> places{option};
  if (option.empty())
    places = besidePlugin(support::ownFolder(reinterpret_cast<const void*>(&findMonitor)));
  for (const std::string& place : places) {
    if (::access(place.c_str(), X_OK) == 0) return place;
  }
  return absl::FailedPreconditionError(
      strCat("option monitor: no executable berth-monitor at ", absl::StrJoin(places, " or ")));
}

}  // namespace berth::runc
