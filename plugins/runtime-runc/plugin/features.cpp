#include "features.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/utsname.h>
#include <unistd.h>

#include <absl/strings/str_split.h>
#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr auto kProbeTime = std::chrono::seconds(10);

struct Version {
  int major = 0;
  int minor = 0;
  bool operator>=(const Version& other) const {
    return major != other.major ? major > other.major : minor >= other.minor;
  }
};

Version numbers(const std::string& text) {
  Version version;
  // Text that is no version leaves zeros: the oldest.
  if (std::sscanf(text.c_str(), "%d.%d", &version.major, &version.minor) < 1) return {};
  return version;
}

// Recursive read-only needs mount_setattr(2).
bool kernelHasMountSetattr() {
  utsname host{};
  return ::uname(&host) == 0 && numbers(host.release) >= Version{5, 12};
}

bool kernelHasUserNamespaces() {
  if (!support::pathExists("/proc/self/ns/user")) return false;
  const auto most = support::readFile("/proc/sys/user/max_user_namespaces");
  return !most.ok() || std::atol(most->c_str()) > 0;
}

bool isExecutable(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0;
}

bool contains(const std::vector<std::string>& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

// A member like {"enabled": true}.
bool enabled(const boost::json::object& parent, std::string_view key) {
  const boost::json::object* member = support::objectMember(parent, key);
  return member != nullptr && support::boolMember(*member, "enabled");
}

absl::StatusOr<std::string> ask(const std::string& binary, const char* question) {
  const support::RunLimits limits{.deadline = std::chrono::steady_clock::now() + kProbeTime};
  BERTH_ASSIGN_OR_RETURN(const support::Output output,
                         support::run({.argv = {binary, question}}, {}, limits));
  if (output.exitCode == 0) return output.standardOutput;
  return absl::FailedPreconditionError(strCat("run ", binary, " ", question, ": exit code ",
                                              output.exitCode, ": ", output.standardError));
}

}  // namespace

absl::StatusOr<std::string> findBinary(const std::string& path) {
  if (path.find('/') != std::string::npos && isExecutable(path)) return path;
  const std::string name = path.substr(path.rfind('/') + 1);
  const char* search = ::getenv("PATH");
  const std::string directories =
      search != nullptr ? search : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const absl::string_view directory : absl::StrSplit(directories, ':', absl::SkipEmpty())) {
    std::string candidate = strCat(directory, "/", name);
    if (isExecutable(candidate)) return candidate;
  }
  return absl::FailedPreconditionError(
      strCat("find the OCI runtime: neither ", path, " nor ", name, " in PATH (", directories,
             ") is an executable file; install it or set the option \"path\""));
}

void parseVersion(std::string_view text, RuntimeFeatures& features) {
  for (const absl::string_view line : absl::StrSplit(support::toAbsl(text), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() >= 3 && words[1] == "version" && features.version.empty()) {
      features.name = words[0];
      features.version = words[2];
    } else if (words.size() >= 2 && words[0] == "spec:") {
      features.ociVersion = words[1];
    }
  }
  // Every runtime of the specification's first version takes this one.
  if (features.ociVersion.empty()) features.ociVersion = "1.0.0";
  const Version version = numbers(features.version);
  features.userNamespaces = true;
  features.seccomp = true;
  // crun took "rro" up before it could say so; runc says it from its first `features` on.
  features.recursiveReadOnly = features.name == "crun" && version >= Version{1, 4};
  features.recursiveUserBinds = features.name != "crun" || version >= Version{1, 9};
  features.apparmor = text.find("+APPARMOR") != std::string_view::npos;
  features.selinux = text.find("+SELINUX") != std::string_view::npos;
  features.checkpoints = features.name != "crun" || text.find("+CRIU") != std::string_view::npos;
}

void parseFeatures(const boost::json::object& document, RuntimeFeatures& features) {
  features.ociVersion = support::stringMember(document, "ociVersionMax", features.ociVersion);
  if (const boost::json::object* said = support::objectMember(document, "annotations")) {
    const std::string checkpoints =
        support::stringMember(*said, "org.opencontainers.runc.checkpoint.enabled");
    if (!checkpoints.empty()) features.checkpoints = checkpoints == "true";
  }
  features.recursiveReadOnly = contains(support::stringsMember(document, "mountOptions"), "rro");
  const boost::json::object* parts = support::objectMember(document, "linux");
  if (parts == nullptr) return;
  features.userNamespaces = contains(support::stringsMember(*parts, "namespaces"), "user");
  features.seccomp = enabled(*parts, "seccomp");
  features.apparmor = enabled(*parts, "apparmor");
  features.selinux = enabled(*parts, "selinux");
  const boost::json::object* extensions = support::objectMember(*parts, "mountExtensions");
  features.idmappedMounts = extensions != nullptr && enabled(*extensions, "idmap");
}

absl::StatusOr<RuntimeFeatures> probeRuntime(const std::string& binary) {
  RuntimeFeatures features;
  features.binary = binary;
  const auto version = ask(binary, "--version");
  if (!version.ok()) return support::annotate(version.status(), "ask the OCI runtime for itself");
  parseVersion(*version, features);
  const auto text = ask(binary, "features");
  const auto document = text.ok() ? support::parseJsonObject(*text, strCat(binary, " features"))
                                  : absl::StatusOr<boost::json::object>(text.status());
  if (document.ok()) parseFeatures(*document, features);
  features.userNamespaces = features.userNamespaces && kernelHasUserNamespaces();
  features.recursiveReadOnly = features.recursiveReadOnly && kernelHasMountSetattr();
  features.idmappedMounts = features.idmappedMounts && kernelHasMountSetattr();
  return features;
}

std::string describeFeatures(const RuntimeFeatures& features, const absl::Status& checkpoints) {
  boost::json::object document{
      {"ociVersion", features.ociVersion},
      {"binary", features.binary},
      {"binaryName", features.name},
      {"binaryVersion", features.version},
      {"userNamespaces", features.userNamespaces},
      {"recursiveReadOnly", features.recursiveReadOnly},
      {"idmappedMounts", features.idmappedMounts},
      {"seccomp", features.seccomp},
      {"apparmor", features.apparmor},
      {"selinux", features.selinux},
      {"checkpoint", checkpoints.ok()},
      {"hostNetwork", true},
      {"hostPid", true},
      {"hostIpc", true},
  };
  if (!checkpoints.ok()) {
    document["checkpointReason"] = support::fromAbsl(checkpoints.message());
  }
  return boost::json::serialize(document);
}

}  // namespace berth::runc
