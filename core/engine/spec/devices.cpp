#include "engine/spec/devices.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

// Instances of a container's own, or what other container managers keep in /dev.
constexpr std::array<std::string_view, 7> kSkippedDirectories = {
    "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"};
constexpr int kMaximumDepth = 16;

struct Node {
  char type = 'c';
  unsigned major = 0;
  unsigned minor = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// By path in the container: a later one replaces an earlier one.
using Nodes = std::map<std::string, Node>;

std::optional<Node> nodeFrom(const struct stat& status) {
  Node node{.major = major(status.st_rdev),
            .minor = minor(status.st_rdev),
            .mode = status.st_mode & 07777u,
            .uid = status.st_uid,
            .gid = status.st_gid};
  if (S_ISBLK(status.st_mode))
    node.type = 'b';
  else if (!S_ISCHR(status.st_mode))
    return std::nullopt;
  return node;
}

// Nodes vanish while one looks: hot-plugged hardware. That is no error.
absl::Status collect(const std::string& directory, const std::string& target, int depth,
                     Nodes& nodes) {
  const absl::StatusOr<std::vector<std::string>> names = support::listDirectory(directory);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::string path = support::strCat(directory, "/", name);
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode)) {
      const bool skipped = std::find(kSkippedDirectories.begin(), kSkippedDirectories.end(),
                                     name) != kSkippedDirectories.end();
      if (!skipped && depth < kMaximumDepth)
        BERTH_RETURN_IF_ERROR(collect(path, support::strCat(target, "/", name), depth + 1, nodes));
    } else if (const std::optional<Node> node = nodeFrom(status); node && name != "console") {
      nodes[support::strCat(target, "/", name)] = *node;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> permissions(const runtime::v1::Device& device) {
  if (device.permissions().empty()) return std::string("rwm");
  if (device.permissions().find_first_not_of("rwm") != std::string::npos)
    return absl::InvalidArgumentError(support::strCat("device ", device.host_path(),
                                                      ": permissions \"", device.permissions(),
                                                      "\" may only be made of r, w and m"));
  return device.permissions();
}

// The nodes that one entry of the request stands for.
absl::StatusOr<Nodes> requestedNodes(const runtime::v1::Device& device) {
  const std::string what = support::strCat("device ", device.host_path());
  BERTH_RETURN_IF_ERROR(checkText(device.host_path(), "host_path of a device"));
  BERTH_RETURN_IF_ERROR(checkText(device.container_path(), "container_path of a device"));
  if (!device.host_path().starts_with('/'))
    return absl::InvalidArgumentError(support::strCat(what, ": host_path must be absolute"));
  const std::string target =
      cleanPath(device.container_path().empty() ? device.host_path() : device.container_path());
  if (!target.starts_with('/') || target == "/")
    return absl::InvalidArgumentError(
        support::strCat(what, ": container_path must be absolute and not the root"));

  const std::unique_ptr<char, decltype(&std::free)> real(
      ::realpath(device.host_path().c_str(), nullptr), &std::free);
  struct stat status {};
  if (!real || ::lstat(real.get(), &status) != 0) {
    if (errno == ENOENT)
      return absl::InvalidArgumentError(support::strCat(what, ": it does not exist on this host"));
    return support::errnoStatus(errno, support::strCat("look at ", what));
  }
  Nodes nodes;
  if (S_ISDIR(status.st_mode)) {
    BERTH_RETURN_IF_ERROR(collect(real.get(), target, 0, nodes));
    if (nodes.empty())
      return absl::InvalidArgumentError(support::strCat(what, ": no devices in this directory"));
  } else if (const std::optional<Node> node = nodeFrom(status)) {
    nodes[target] = *node;
  } else {
    return absl::InvalidArgumentError(support::strCat(what, ": it is not a device node"));
  }
  return nodes;
}

void takeOver(Node& node, const runtime::v1::LinuxContainerSecurityContext& security) {
  if (security.run_as_user().value() > 0)
    node.uid = static_cast<uint32_t>(security.run_as_user().value());
  if (security.run_as_group().value() > 0)
    node.gid = static_cast<uint32_t>(security.run_as_group().value());
}

bj::object deviceJson(const std::string& path, const Node& node) {
  return {{"path", path},          {"type", std::string_view(&node.type, 1)},
          {"major", node.major},   {"minor", node.minor},
          {"fileMode", node.mode}, {"uid", node.uid},
          {"gid", node.gid}};
}

}  // namespace

absl::StatusOr<DevicePlan> planDevices(const runtime::v1::ContainerConfig& config,
                                       const Defaults& defaults, Privilege privilege,
                                       const std::string& deviceDirectory) {
  const bool privileged = privilege == Privilege::kPrivileged;
  DevicePlan plan;
  Nodes nodes;
  plan.rules.push_back({{"allow", privileged}, {"access", "rwm"}});
  if (privileged && defaults.privilegedDevices == PrivilegedDevices::kAll)
    BERTH_RETURN_IF_ERROR(collect(deviceDirectory, "/dev", 0, nodes));

  for (const runtime::v1::Device& device : config.devices()) {
    BERTH_ASSIGN_OR_RETURN(const std::string access, permissions(device));
    BERTH_ASSIGN_OR_RETURN(Nodes requested, requestedNodes(device));
    for (auto& [path, node] : requested) {
      if (defaults.deviceOwnership == DeviceOwnership::kSecurityContext)
        takeOver(node, config.linux().security_context());
      nodes[path] = node;
      if (!privileged)
        plan.rules.push_back({{"allow", true},
                              {"type", std::string_view(&node.type, 1)},
                              {"major", node.major},
                              {"minor", node.minor},
                              {"access", access}});
    }
  }
  for (const auto& [path, node] : nodes) plan.devices.emplace_back(deviceJson(path, node));
  return plan;
}

}  // namespace berth::spec
