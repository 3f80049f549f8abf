#include "invoker.hpp"

#include <array>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "plugin_error.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr int kFirstFree = 3;  // after the standard streams
constexpr size_t kLargestOutput = 4u << 20;

// Variables of ours that would make a plugin speak to our service manager, or that are set anew.
bool isKept(std::string_view variable) {
  constexpr std::array<std::string_view, 6> kDropped = {
      "CNI_", "NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_", "INVOCATION_ID=", "JOURNAL_STREAM="};
  for (const std::string_view prefix : kDropped)
    if (variable.starts_with(prefix)) return false;
  return true;
}

std::vector<std::string> inheritedVariables() {
  std::vector<std::string> result;
  bool hasPath = false;
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (!isKept(*variable)) continue;
    hasPath = hasPath || std::string_view(*variable).starts_with("PATH=");
    result.emplace_back(*variable);
  }
  // Plugins call iptables and the like by name.
  if (!hasPath)
    result.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  return result;
}

}  // namespace

Invoker::Invoker(std::vector<std::string> binDirs)
    : binDirs_(std::move(binDirs)), inherited_(inheritedVariables()) {
  for (const std::string& directory : binDirs_)
    path_ += strCat(path_.empty() ? "" : ":", directory);
}

absl::StatusOr<std::string> Invoker::find(const std::string& type) const {
  for (const std::string& directory : binDirs_) {
    std::string path = strCat(directory, "/", type);
    struct stat info = {};
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        ::access(path.c_str(), X_OK) == 0)
      return path;
  }
  return absl::FailedPreconditionError(
      strCat("CNI plugin ", type, " is not in ", path_, ": install it or correct bin_dirs"));
}

std::vector<std::string> Invoker::environment(const Parameters& parameters) const {
  std::vector<std::string> result = inherited_;
  result.push_back(strCat("CNI_COMMAND=", parameters.command));
  result.push_back(strCat("CNI_CONTAINERID=", parameters.containerId));
  result.push_back(strCat("CNI_NETNS=", parameters.namespacePath));
  result.push_back(strCat("CNI_IFNAME=", parameters.interface));
  result.push_back(strCat("CNI_ARGS=", parameters.args));
  result.push_back(strCat("CNI_PATH=", path_));
  return result;
}

absl::StatusOr<std::string> Invoker::run(const std::string& type, const Parameters& parameters,
                                         const boost::json::object& config,
                                         const support::RunLimits& limits) const {
  BERTH_ASSIGN_OR_RETURN(const std::string program, find(type));
  support::Command command;
  command.argv = {program};
  command.environment = environment(parameters);
  command.newSession = true;
  if (parameters.lock >= 0) command.descriptors = {{parameters.lock, kFirstFree}};
  support::RunLimits bounded = limits;
  bounded.outputBytes = kLargestOutput;
  const std::string doing = strCat("CNI plugin ", type, " ", parameters.command);
  auto output = support::run(command, boost::json::serialize(config), bounded);
  if (!output.ok()) {
    // NOT_FOUND is kept for what a plugin itself says of its container.
    const absl::Status failed = support::annotate(output.status(), doing);
    return absl::IsNotFound(failed) ? absl::FailedPreconditionError(failed.message()) : failed;
  }
  if (output->exitCode != 0) return pluginError(doing, *output);
  return std::move(output->standardOutput);
}

absl::StatusOr<std::vector<Version>> Invoker::supportedVersions(
    const std::string& type, const support::RunLimits& limits) const {
  // Plugins check the presence of the other parameters before they look at the command.
  const Parameters parameters{
      .command = "VERSION", .containerId = "dummy", .namespacePath = "dummy", .interface = "dummy"};
  BERTH_ASSIGN_OR_RETURN(const std::string printed,
                         run(type, parameters, {{"cniVersion", kNewest.text()}}, limits));
  BERTH_ASSIGN_OR_RETURN(
      const boost::json::object answer,
      support::parseJsonObject(printed, strCat("CNI plugin ", type, " VERSION")));
  std::vector<Version> result;
  for (const std::string& text : support::stringsMember(answer, "supportedVersions")) {
    const auto version = parseVersion(text);
    if (version.ok()) result.push_back(*version);
  }
  return result;
}

}  // namespace berth::cni
