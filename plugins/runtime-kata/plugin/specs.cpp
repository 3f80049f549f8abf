#include "specs.hpp"

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::kata {

namespace json = boost::json;
using support::strCat;

namespace {

json::string_view key(std::string_view text) {
  return {text.data(), text.size()};
}
json::string text(std::string_view value) {
  return json::string(value.data(), value.size());
}

// Both families: shims of Go ask for those of containerd first, those of Rust for CRI-O's.
void describe(json::object& annotations, std::string_view kind, std::string_view pod) {
  annotations["io.kubernetes.cri.container-type"] = text(kind);
  annotations["io.kubernetes.cri.sandbox-id"] = text(pod);
  annotations["io.kubernetes.cri-o.ContainerType"] = text(kind);
  annotations["io.kubernetes.cri-o.SandboxID"] = text(pod);
}

// A part of OCI's linux.resources, and what the engines that shims know call it.
struct Quantity {
  const char* part;
  const char* member;
  const char* containerd;
  const char* crio;
};
constexpr Quantity kQuantities[] = {
    {"cpu", "period", "io.kubernetes.cri.sandbox-cpu-period", "cpu_period"},
    {"cpu", "quota", "io.kubernetes.cri.sandbox-cpu-quota", "cpu_quota"},
    {"cpu", "shares", "io.kubernetes.cri.sandbox-cpu-shares", "cpu_shares"},
    {"memory", "limit", "io.kubernetes.cri.sandbox-memory", "memory_limit_in_bytes"}};

// What the pod's containers may use together decides the machine's size. The overhead is what the
// machine itself may use of the host: it is told apart from that and never added to it.
absl::Status describeSize(json::object& annotations, const PodSpec& pod) {
  const auto describe = [&](const char* name, std::string_view given, bool isSize) -> absl::Status {
    if (given.empty()) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const json::object resources, support::parseJsonObject(given, name));
    json::object told;
    for (const Quantity& each : kQuantities) {
      const json::object* part = support::objectMember(resources, each.part);
      if (part == nullptr || !part->contains(each.member)) continue;
      const int64_t value = support::intMember(*part, each.member);
      told[each.crio] = value;
      if (isSize) annotations[each.containerd] = std::to_string(value);
    }
    annotations[name] = text(json::serialize(told));
    return absl::OkStatus();
  };
  BERTH_RETURN_IF_ERROR(describe("io.kubernetes.cri-o.PodLinuxResources", pod.resources, true));
  return describe("io.kubernetes.cri-o.PodLinuxOverhead", pod.overhead, false);
}

// 0: no limit, or one that is none.
uint64_t memoryLimit(std::string_view given) {
  const auto resources = support::parseJsonObject(given, "resources");
  const json::object* memory =
      resources.ok() ? support::objectMember(*resources, "memory") : nullptr;
  const int64_t limit = memory == nullptr ? 0 : support::intMember(*memory, "limit");
  return limit > 0 ? static_cast<uint64_t>(limit) : 0;
}

std::string mebibytes(uint64_t bytes) {
  return strCat(bytes >> 20, " MiB");
}

json::object mountOf(const char* destination, const char* type, const char* source,
                     json::array options) {
  return {{"destination", destination},
          {"type", type},
          {"source", source},
          {"options", std::move(options)}};
}

json::array namespacesOf(const PodSpec& pod, const PodRecord& record) {
  json::array result{json::object{{"type", "mount"}}};
  if (!record.netPin.empty()) {
    result.push_back(json::object{{"type", "network"}, {"path", record.netPin}});
  }
  const std::pair<uint32_t, const char*> others[] = {
      {BERTH_NAMESPACE_IPC, "ipc"}, {BERTH_NAMESPACE_UTS, "uts"}, {BERTH_NAMESPACE_PID, "pid"}};
  for (const auto& [bit, type] : others) {
    if ((pod.raw.new_namespaces & bit) != 0) result.push_back(json::object{{"type", type}});
  }
  return result;
}

}  // namespace

std::string cgroupsPathOf(const PodRecord& record, std::string_view container) {
  if (record.systemdCgroup) return strCat(record.cgroupParent, ":berth:", container);
  return strCat(record.cgroupParent == "/" ? "" : record.cgroupParent, "/", container);
}

absl::Status checkSize(const PodSpec& pod, uint64_t hostBytes) {
  const uint64_t limit = memoryLimit(pod.resources);
  const uint64_t overhead = memoryLimit(pod.overhead);
  if (limit == 0 || (limit <= hostBytes && overhead <= hostBytes - limit)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat("the pod's machine is larger than this host: its containers may use ",
             mebibytes(limit), ", its overhead is ", mebibytes(overhead), ", and the host has ",
             mebibytes(hostBytes), ": lower the memory limits, or use a larger node"));
}

absl::StatusOr<std::string> sandboxSpec(const PodSpec& pod, const PodRecord& record,
                                        const Options& options) {
  json::object annotations;
  // Pods cannot take these away by annotations that the shim does not get to see.
  for (const auto& [name, value] : pod.defaultAnnotations) annotations[key(name)] = text(value);
  for (const auto& [name, value] : pod.annotations) {
    if (matchesAny(name, options.podAnnotations)) annotations[key(name)] = text(value);
  }
  describe(annotations, "sandbox", record.id);
  annotations["io.kubernetes.cri.sandbox-name"] = text(view(pod.raw.name));
  annotations["io.kubernetes.cri.sandbox-namespace"] = text(view(pod.raw.pod_namespace));
  annotations["io.kubernetes.cri.sandbox-uid"] = text(view(pod.raw.uid));
  BERTH_RETURN_IF_ERROR(describeSize(annotations, pod));
  json::object sysctls;
  for (const auto& [name, value] : pod.sysctls) sysctls[key(name)] = text(value);
  json::object linux{
      {"cgroupsPath", cgroupsPathOf(record, record.id)},
      {"namespaces", namespacesOf(pod, record)},
      {"resources",
       {{"devices", {{{"allow", false}, {"access", "rwm"}}}}, {"cpu", {{"shares", 2}}}}},
      {"maskedPaths", {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/sysrq-trigger"}},
      {"readonlyPaths", {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"}}};
  if (!sysctls.empty()) linux["sysctl"] = std::move(sysctls);
  json::object spec{
      {"ociVersion", "1.0.2"},
      {"process",
       {{"args", {"/pause"}},
        {"cwd", "/"},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"env", {"PATH=/"}},
        {"noNewPrivileges", true},
        {"capabilities",
         {{"bounding", json::array()},
          {"effective", json::array()},
          {"permitted", json::array()}}}}},
      {"root", {{"path", options.sandboxRoot()}, {"readonly", true}}},
      {"mounts",
       {mountOf("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
        mountOf("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
        mountOf("/dev/shm", "tmpfs", "shm",
                {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"})}},
      {"annotations", std::move(annotations)},
      {"linux", std::move(linux)}};
  if (!record.hostname.empty()) spec["hostname"] = record.hostname;
  return json::serialize(spec);
}

absl::StatusOr<std::string> containerSpec(std::string_view given, const PodRecord& record,
                                          std::string_view name, const std::string& root) {
  BERTH_ASSIGN_OR_RETURN(json::object spec, support::parseJsonObject(given, "the OCI spec"));
  if (support::objectMember(spec, "process") == nullptr) {
    return absl::InvalidArgumentError("the OCI spec has no \"process\"");
  }
  json::object& annotations = support::objectAt(spec, "annotations");
  describe(annotations, "container", record.id);
  annotations["io.kubernetes.cri.container-name"] = text(name);
  support::objectAt(spec, "root")["path"] = root;
  json::object& linux = support::objectAt(spec, "linux");
  support::objectAt(linux, "resources");
  const std::string cgroup = support::stringMember(linux, "cgroupsPath");
  if (cgroup.empty()) {
    return absl::InvalidArgumentError("the OCI spec has no \"linux.cgroupsPath\"");
  }
  if (record.namespaces) return json::serialize(spec);
  bool ownProcesses = false;
  for (json::value& each : support::arrayAt(linux, "namespaces")) {
    if (!each.is_object()) continue;
    json::object& one = each.as_object();
    // That a PID namespace has a path says that the pod's containers share one.
    const std::string type = support::stringMember(one, "type");
    ownProcesses = ownProcesses || type == "pid";
    if (type != "pid") one.erase("path");
  }
  if (!ownProcesses) {
    return absl::FailedPreconditionError(
        "a virtual machine has no way to the host's processes: leave hostPID out, or choose "
        "another "
        "runtime class");
  }
  return json::serialize(spec);
}

}  // namespace berth::kata
