#include "engine/spec/namespaces.hpp"

#include "berth/support/status.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using runtime::v1::IDMapping;
using runtime::v1::NamespaceMode;
using runtime::v1::NamespaceOption;
using runtime::v1::UserNamespace;
using Mappings = google::protobuf::RepeatedPtrField<IDMapping>;

absl::Status checkMapping(const Mappings& mappings, std::string_view kind) {
  const std::string what = support::strCat("user namespace: ", kind);
  if (mappings.size() != 1)
    return absl::InvalidArgumentError(
        support::strCat(what, ": exactly one mapping is supported, not ", mappings.size()));
  const IDMapping& mapping = mappings[0];
  if (mapping.container_id() != 0)
    return absl::InvalidArgumentError(support::strCat(
        what, ": the mapping must begin at container ID 0, not ", mapping.container_id()));
  if (mapping.length() == 0 ||
      uint64_t{mapping.host_id()} + mapping.length() > uint64_t{UINT32_MAX})
    return absl::InvalidArgumentError(support::strCat(what, ": host ID ", mapping.host_id(),
                                                      " with length ", mapping.length(),
                                                      " is not a range of IDs"));
  return absl::OkStatus();
}

absl::Status addUserNamespace(const NamespaceOption& options, PodNamespaces& pod) {
  const UserNamespace& user = options.userns_options();
  switch (user.mode()) {
    case runtime::v1::NODE:
      if (user.uids().empty() && user.gids().empty()) return absl::OkStatus();
      return absl::InvalidArgumentError(
          "user namespace: mode NODE takes no mappings; use mode POD with them");
    case runtime::v1::POD:
      break;
    default:
      return absl::InvalidArgumentError(support::strCat(
          "user namespace: unsupported mode ", runtime::v1::NamespaceMode_Name(user.mode())));
  }
  BERTH_RETURN_IF_ERROR(checkMapping(user.uids(), "uids"));
  BERTH_RETURN_IF_ERROR(checkMapping(user.gids(), "gids"));
  // The pod's root would have no rights there: its own /proc and /dev/mqueue could not be mounted.
  if (options.pid() == runtime::v1::NODE || options.ipc() == runtime::v1::NODE)
    return absl::InvalidArgumentError(
        "user namespace: a pod with one cannot use the host's PID or IPC namespace");
  pod.user = true;
  pod.uids.assign(user.uids().begin(), user.uids().end());
  pod.gids.assign(user.gids().begin(), user.gids().end());
  return absl::OkStatus();
}

bool sameMappings(const Mappings& left, const Mappings& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const IDMapping& a, const IDMapping& b) {
                      return a.host_id() == b.host_id() && a.container_id() == b.container_id() &&
                             a.length() == b.length();
                    });
}

// A container that says nothing has its pod's.
absl::Status checkSameUser(const NamespaceOption& pod, const NamespaceOption& container) {
  if (!container.has_userns_options()) return absl::OkStatus();
  const UserNamespace& own = container.userns_options();
  const UserNamespace& pods = pod.userns_options();
  const NamespaceMode podMode = pod.has_userns_options() ? pods.mode() : runtime::v1::NODE;
  if (own.mode() == podMode && sameMappings(own.uids(), pods.uids()) &&
      sameMappings(own.gids(), pods.gids()))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      "user namespace: the container's options differ from its pod's; they must be the same");
}

class Builder {
 public:
  Builder(const ContainerSpecInput& input, NamespacePlan& plan) : input_(input), plan_(plan) {}

  void fresh(std::string_view type) { plan_.namespaces.emplace_back(bj::object{{"type", type}}); }

  // Joins the pod's, where it has one of its own.
  absl::Status join(std::string_view type, const std::string& path) {
    if (!path.empty()) {
      plan_.namespaces.push_back({{"type", type}, {"path", path}});
      return absl::OkStatus();
    }
    // In a virtual machine all of these are the guest's, which its agent arranges.
    if (input_.isolation != Isolation::kVirtualMachine)
      return absl::InternalError(support::strCat("container ", input_.containerId, ": the pod's ",
                                                 type, " namespace has no path"));
    fresh(type);
    if (type == "uts") plan_.ownUts = true;
    return absl::OkStatus();
  }

 private:
  const ContainerSpecInput& input_;
  NamespacePlan& plan_;
};

absl::Status addPid(const ContainerSpecInput& input, const PodNamespaces& pod, Builder& builder) {
  const NamespaceMode podMode = input.pod.linux().security_context().namespace_options().pid();
  const NamespaceOption& options = input.config.linux().security_context().namespace_options();
  switch (options.pid()) {
    case runtime::v1::CONTAINER:
      builder.fresh("pid");
      return absl::OkStatus();
    case runtime::v1::TARGET:
      if (input.namespaces.targetPid.empty())
        return absl::InvalidArgumentError(support::strCat(
            "namespace_options: pid is TARGET, but there is no running container \"",
            options.target_id(), "\" in the pod"));
      return builder.join("pid", input.namespaces.targetPid);
    case runtime::v1::NODE:
      if (podMode == runtime::v1::NODE) return absl::OkStatus();
      return absl::InvalidArgumentError(
          "namespace_options: pid is NODE, but the pod does not use the host's PID namespace");
    case runtime::v1::POD:
      if (podMode == runtime::v1::NODE) return absl::OkStatus();
      if (pod.pid) return builder.join("pid", input.namespaces.pid);
      builder.fresh("pid");
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(support::strCat(
          "namespace_options: pid mode ", static_cast<int>(options.pid()), " is unknown"));
  }
}

bj::array mappingsJson(const std::vector<IDMapping>& mappings) {
  bj::array json;
  for (const IDMapping& mapping : mappings)
    json.push_back({{"containerID", mapping.container_id()},
                    {"hostID", mapping.host_id()},
                    {"size", mapping.length()}});
  return json;
}

}  // namespace

absl::StatusOr<PodNamespaces> podNamespaces(const runtime::v1::PodSandboxConfig& config) {
  const NamespaceOption& options = config.linux().security_context().namespace_options();
  PodNamespaces pod;
  pod.network = options.network() != runtime::v1::NODE;
  pod.ipc = options.ipc() != runtime::v1::NODE;
  pod.uts = pod.network;
  pod.pid = options.pid() == runtime::v1::POD;
  if (options.has_userns_options()) BERTH_RETURN_IF_ERROR(addUserNamespace(options, pod));
  return pod;
}

absl::StatusOr<NamespacePlan> containerNamespaces(const ContainerSpecInput& input,
                                                  const PodNamespaces& pod) {
  const auto& security = input.config.linux().security_context();
  BERTH_RETURN_IF_ERROR(checkSameUser(input.pod.linux().security_context().namespace_options(),
                                      security.namespace_options()));
  NamespacePlan plan;
  Builder builder(input, plan);
  builder.fresh("mount");
  BERTH_RETURN_IF_ERROR(addPid(input, pod, builder));
  if (pod.network) BERTH_RETURN_IF_ERROR(builder.join("network", input.namespaces.network));
  if (pod.ipc) BERTH_RETURN_IF_ERROR(builder.join("ipc", input.namespaces.ipc));
  if (pod.uts) BERTH_RETURN_IF_ERROR(builder.join("uts", input.namespaces.uts));
  // It hides the host's tree. Version 1 has no mounts that honour it well, and privileged
  // containers are expected to see all.
  if (input.host.cgroupMode == common::CgroupMode::kUnified && !security.privileged()) {
    builder.fresh("cgroup");
    plan.ownCgroup = true;
  }
  if (pod.user) {
    BERTH_RETURN_IF_ERROR(builder.join("user", input.namespaces.user));
    // Runtimes before runc 1.2 want the mappings of a namespace they join as well; later ones take
    // them when they are the same.
    plan.uidMappings = mappingsJson(pod.uids);
    plan.gidMappings = mappingsJson(pod.gids);
  }
  return plan;
}

}  // namespace berth::spec
