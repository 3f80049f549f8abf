#include "engine/spec/spec.hpp"

#include <optional>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/annotations.hpp"
#include "engine/spec/capabilities.hpp"
#include "engine/spec/cgroup_path.hpp"
#include "engine/spec/devices.hpp"
#include "engine/spec/injections.hpp"
#include "engine/spec/mounts.hpp"
#include "engine/spec/namespaces.hpp"
#include "engine/spec/pod_files.hpp"
#include "engine/spec/process.hpp"
#include "engine/spec/resources.hpp"
#include "engine/spec/security.hpp"
#include "engine/spec/text.hpp"
#include "engine/spec/users.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using runtime::v1::LinuxContainerSecurityContext;

// One specification in the making.
class Builder {
 public:
  explicit Builder(const ContainerSpecInput& input)
      : in_(input),
        security_(input.config.linux().security_context()),
        privilege_(security_.privileged() ? Privilege::kPrivileged : Privilege::kNormal) {}

  absl::StatusOr<ContainerSpec> build() {
    BERTH_RETURN_IF_ERROR(checkRequest());
    BERTH_ASSIGN_OR_RETURN(pod_, podNamespaces(in_.pod));
    BERTH_RETURN_IF_ERROR(checkUserNamespace());
    BERTH_RETURN_IF_ERROR(grantCapabilities());
    BERTH_ASSIGN_OR_RETURN(
        labels_, containerSeLinuxLabels(security_.selinux_options(), in_.podLabels, in_.host,
                                        confinementOf(in_.pod, in_.config)));
    BERTH_ASSIGN_OR_RETURN(bj::object process, buildProcess());
    BERTH_ASSIGN_OR_RETURN(NamespacePlan namespaces, containerNamespaces(in_, pod_));
    BERTH_ASSIGN_OR_RETURN(MountPlan mounts, planContainerMounts(namespaces));

    bj::object& spec = out_.spec;
    spec["ociVersion"] = bj::string(in_.features.ociVersion);
    spec["process"] = std::move(process);
    spec["root"] = {{"path", in_.rootfsPath}, {"readonly", security_.readonly_rootfs()}};
    if (namespaces.ownUts) {
      BERTH_ASSIGN_OR_RETURN(const std::string hostname, podHostname(in_.pod, in_.host));
      spec["hostname"] = bj::string(hostname);
    }
    spec["mounts"] = std::move(mounts.mounts);
    spec["annotations"] = containerAnnotations(in_);
    BERTH_ASSIGN_OR_RETURN(spec["linux"], buildLinux(namespaces, mounts));
    out_.missingDirectories = std::move(mounts.missingDirectories);
    out_.mappedMounts = std::move(mounts.mapped);
    out_.relabels = std::move(mounts.relabels);
    BERTH_RETURN_IF_ERROR(addInjections(in_, spec));
    reportGroups();
    return std::move(out_);
  }

 private:
  absl::Status checkRequest() const {
    if (!in_.rootfsPath.starts_with('/'))
      return absl::InternalError(
          support::strCat("the root file system's path \"", in_.rootfsPath, "\" is not absolute"));
    if (security_.privileged() && !in_.pod.linux().security_context().privileged())
      return absl::InvalidArgumentError(
          "no privileged container allowed in sandbox: the pod itself is not privileged");
    return absl::OkStatus();
  }

  absl::Status checkUserNamespace() const {
    if (!pod_.user || (in_.host.userNamespaces && in_.features.userNamespaces))
      return absl::OkStatus();
    return absl::FailedPreconditionError(
        in_.host.userNamespaces
            ? "the pod has a user namespace, which this runtime handler does not support"
            : "the pod has a user namespace, which this kernel does not support");
  }

  absl::Status grantCapabilities() {
    // Whoever enters a new user namespace has every capability there.
    const uint64_t available = pod_.user ? in_.host.kernelCapabilities : in_.host.capabilities;
    BERTH_ASSIGN_OR_RETURN(capabilities_,
                           resolveCapabilities(security_.capabilities(), in_.defaults.capabilities,
                                               available, privilege_, out_.warnings));
    return absl::OkStatus();
  }

  absl::StatusOr<bj::object> buildProcess() {
    BERTH_ASSIGN_OR_RETURN(const UserDatabase database, UserDatabase::open(in_.rootfsPath));
    BERTH_ASSIGN_OR_RETURN(const ResolvedUser user,
                           resolveUser(security_, in_.image.user, database));
    out_.user = criUser(user);
    BERTH_ASSIGN_OR_RETURN(const auto arguments, processArguments(in_.config, in_.image));
    BERTH_ASSIGN_OR_RETURN(const std::string hostname, podHostname(in_.pod, in_.host));
    BERTH_ASSIGN_OR_RETURN(
        const auto environment,
        processEnvironment(in_.config, in_.image, in_.defaults, hostname, out_.warnings));
    BERTH_ASSIGN_OR_RETURN(const std::string directory, processDirectory(in_.config, in_.image));
    BERTH_ASSIGN_OR_RETURN(const std::string appArmor,
                           appArmorFor(security_, in_.defaults, in_.host, out_.warnings));
    BERTH_ASSIGN_OR_RETURN(bj::array limits,
                           rlimitsJson(in_.defaults.ulimits, in_.host, out_.warnings));

    bj::object process{{"terminal", in_.config.tty()},
                       {"user", userJson(user)},
                       {"args", jsonTexts(arguments)},
                       {"env", jsonTexts(environment)},
                       {"cwd", directory},
                       {"capabilities", capabilitiesJson(capabilities_)},
                       {"noNewPrivileges", security_.no_new_privs()}};
    if (!limits.empty()) process["rlimits"] = std::move(limits);
    if (!appArmor.empty()) process["apparmorProfile"] = bj::string(appArmor);
    if (!labels_.process.empty()) process["selinuxLabel"] = bj::string(labels_.process);
    // Never left out: it would be that of the process that starts the container, which is to be
    // killed last.
    BERTH_ASSIGN_OR_RETURN(
        process["oomScoreAdj"],
        oomScoreAdj(in_.config.linux().resources().oom_score_adj(), in_.host, out_.warnings));
    return process;
  }

  absl::StatusOr<MountPlan> planContainerMounts(const NamespacePlan& namespaces) const {
    return planMounts(
        {.config = in_.config,
         .extraMounts = in_.extraMounts,
         .files = in_.files,
         .features = in_.features,
         .host = in_.host,
         .mountLabel = isConfined(labels_) ? labels_.mount : std::string(),
         .mappedMounts = in_.isolation == Isolation::kNamespaces ? in_.mappedMounts : "",
         .ownDirectories = in_.ownDirectories,
         .privilege = privilege_,
         .userNamespace = pod_.user ? UserNamespace::kPod : UserNamespace::kHost,
         .network = pod_.network ? NetworkNamespace::kPod : NetworkNamespace::kHost,
         .ipc = pod_.ipc ? IpcNamespace::kPod : IpcNamespace::kHost,
         .cgroup = namespaces.ownCgroup ? CgroupNamespace::kOwn : CgroupNamespace::kHost});
  }

  absl::StatusOr<bj::object> buildLinux(NamespacePlan& namespaces, const MountPlan& mounts) {
    BERTH_ASSIGN_OR_RETURN(DevicePlan devices, planDevices(in_.config, in_.defaults, privilege_));
    BERTH_ASSIGN_OR_RETURN(bj::object resources, buildResources());
    resources["devices"] = std::move(devices.rules);
    bj::object linux{{"namespaces", std::move(namespaces.namespaces)},
                     {"resources", std::move(resources)}};
    BERTH_ASSIGN_OR_RETURN(const std::string path, cgroupsPath(in_.pod.linux().cgroup_parent(),
                                                               in_.cgroupDriver, in_.containerId));
    linux["cgroupsPath"] = bj::string(path);
    if (!devices.devices.empty()) linux["devices"] = std::move(devices.devices);
    if (!namespaces.uidMappings.empty()) {
      linux["uidMappings"] = std::move(namespaces.uidMappings);
      linux["gidMappings"] = std::move(namespaces.gidMappings);
    }
    if (!mounts.rootfsPropagation.empty())
      linux["rootfsPropagation"] = bj::string(mounts.rootfsPropagation);
    if (!labels_.mount.empty()) linux["mountLabel"] = bj::string(labels_.mount);
    BERTH_ASSIGN_OR_RETURN(std::optional<bj::object> seccomp,
                           seccompFor(security_, in_.defaults, in_.host, capabilities_.granted));
    if (seccomp) linux["seccomp"] = std::move(*seccomp);
    BERTH_RETURN_IF_ERROR(addPaths("maskedPaths", security_.masked_paths(), linux));
    BERTH_RETURN_IF_ERROR(addPaths("readonlyPaths", security_.readonly_paths(), linux));
    return linux;
  }

  // CDI devices may come with groups.
  void reportGroups() {
    out_.user.clear_supplemental_groups();
    const bj::value& groups = out_.spec.at("process").at("user").at("additionalGids");
    for (const bj::value& gid : groups.as_array())
      out_.user.add_supplemental_groups(gid.to_number<int64_t>());
  }

  absl::StatusOr<bj::object> buildResources() {
    const runtime::v1::LinuxContainerResources& requested = in_.config.linux().resources();
    BERTH_RETURN_IF_ERROR(checkSwap(requested));
    BERTH_ASSIGN_OR_RETURN(bj::object json, resourcesJson(requested, in_.host, out_.warnings));
    if (in_.defaults.pidsLimit > 0) json["pids"] = {{"limit", in_.defaults.pidsLimit}};
    return json;
  }

  // What the runtime hides of /proc and /sys. Privileged containers see all.
  absl::Status addPaths(std::string_view key,
                        const google::protobuf::RepeatedPtrField<std::string>& paths,
                        bj::object& linux) const {
    if (privilege_ == Privilege::kPrivileged || paths.empty()) return absl::OkStatus();
    for (const std::string& path : paths) {
      BERTH_RETURN_IF_ERROR(checkText(path, key));
      if (!path.starts_with('/'))
        return absl::InvalidArgumentError(support::strCat(key, ": \"", path, "\" is not absolute"));
    }
    linux[key] = jsonTexts({paths.begin(), paths.end()});
    return absl::OkStatus();
  }

  const ContainerSpecInput& in_;
  const LinuxContainerSecurityContext& security_;
  const Privilege privilege_;
  ContainerSpec out_;
  PodNamespaces pod_;
  CapabilitySets capabilities_;
  SeLinuxLabels labels_;
};

// "1.3.0" of the OCI specification has linux.netDevices.
bool hasNetDevices(std::string_view version) {
  const std::vector<std::string_view> parts = common::split(version, '.');
  const auto major = common::parseNumber<int>(parts[0]);
  const auto minor = parts.size() > 1 ? common::parseNumber<int>(parts[1]) : std::nullopt;
  return major && minor && (*major > 1 || (*major == 1 && *minor >= 3));
}

}  // namespace

absl::StatusOr<ContainerSpec> buildContainerSpec(const ContainerSpecInput& input) {
  return Builder(input).build();
}

RuntimeFeatures runtimeFeatures(const bj::object& features) {
  const RuntimeFeatures unknown;
  RuntimeFeatures known{
      .ociVersion = support::stringMember(features, "ociVersion", unknown.ociVersion),
      .isolation = support::boolMember(features, "virtualMachine") ? Isolation::kVirtualMachine
                                                                   : Isolation::kNamespaces,
      .recursiveReadOnly = support::boolMember(features, "recursiveReadOnly"),
      .idmappedMounts = support::boolMember(features, "idmappedMounts"),
      .userNamespaces = support::boolMember(features, "userNamespaces")};
  known.netDevices = hasNetDevices(known.ociVersion);
  return known;
}

}  // namespace berth::spec
