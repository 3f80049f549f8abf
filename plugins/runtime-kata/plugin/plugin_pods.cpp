// Pods: creating, starting, stopping, removing.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/sysinfo.h>

#include <absl/strings/numbers.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "host_parts.hpp"
#include "kata_plugin.hpp"
#include "pod_end.hpp"
#include "runc_options.pb.h"
#include "runtimeoptions.pb.h"
#include "specs.hpp"

namespace berth::kata {

using support::strCat;

namespace {

// Undoing must come to an end though the call that failed has no time left.
constexpr auto kUndoTime = std::chrono::seconds(20);
constexpr auto kKeeperTime = std::chrono::seconds(10);

constexpr std::pair<uint32_t, const char*> kShared[] = {
    {BERTH_NAMESPACE_IPC, "ipc"}, {BERTH_NAMESPACE_UTS, "uts"}, {BERTH_NAMESPACE_PID, "pid"}};

// The link from the pod's id, by which an interrupted creation can be undone.
absl::Status linkPod(const std::string& link, const PodRecord& record) {
  if (support::steps::symlink(record.directory.c_str(), link.c_str()) == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    return absl::AlreadyExistsError(strCat("pod ", record.id, " exists: remove it first"));
  }
  return support::errnoStatus(errno, strCat("link ", link));
}

absl::Status makeFolders(const PodRecord& record) {
  for (const std::string& folder :
       {record.keeperDirectory(), record.containersDirectory(), record.streamsDirectory(),
        record.namespacesDirectory(), record.sandboxBundle()}) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(folder, 0700));
  }
  return makeFifo(record.logFifo());
}

// Of a shim in this host's namespaces: what its sandbox has made is the pod's.
absl::Status pinNamespaces(const PodRecord& record) {
  for (const auto& [bit, name] : kShared) {
    const std::string pin = strCat(record.namespacesDirectory(), "/", name);
    if (!support::pathExists(pin)) continue;
    BERTH_ASSIGN_OR_RETURN(const bool pinned, support::isMountPoint(pin));
    if (pinned) continue;
    BERTH_RETURN_IF_ERROR(
        support::bindMount(strCat("/proc/", record.sandboxPid, "/ns/", name), pin));
  }
  return absl::OkStatus();
}

// Of the shim, which most of them write down; 0 when this one does not.
int64_t toldPid(const std::string& bundle) {
  const auto text = support::readFile(bundle + "/shim.pid");
  int64_t pid = 0;
  return text.ok() && absl::SimpleAtoi(*text, &pid) && pid > 1 ? pid : 0;
}

absl::StatusOr<uint64_t> hostMemory() {
  struct sysinfo host {};
  if (::sysinfo(&host) != 0) return support::errnoStatus(errno, "ask for the host's memory");
  return uint64_t{host.totalram} * host.mem_unit;
}

// The first pod's making of the shared mount, and the last one's removal of it, take turns.
std::mutex& sharedMount() {
  static std::mutex mutex;
  return mutex;
}

// Shims have mount namespaces that are slaves of ours: it must be there before the shim is.
absl::Status shareMounts(const Options& options) {
  const std::lock_guard lock(sharedMount());
  return makeShared(options.sharedDirectory());
}

// With the last pod it goes, or it would outlive everything of ours.
absl::Status unshareMounts(const Options& options) {
  const std::lock_guard lock(sharedMount());
  BERTH_ASSIGN_OR_RETURN(const auto links, support::listDirectory(options.podLinks()));
  BERTH_ASSIGN_OR_RETURN(const auto mounts, support::listDirectory(options.sharedDirectory()));
  if (!links.empty() || !mounts.empty()) return absl::OkStatus();
  return support::unmount(options.sharedDirectory(), support::UnmountMode::kLazy);
}

}  // namespace

absl::Status KataPlugin::checkSpec(const PodSpec& spec) const {
  BERTH_RETURN_IF_ERROR(checkId("pod", spec.id));
  if (!spec.directory.starts_with('/')) {
    return absl::InvalidArgumentError(
        strCat("the pod's directory \"", spec.directory, "\" must be an absolute path"));
  }
  const uint32_t made = spec.raw.new_namespaces;
  if ((made & BERTH_NAMESPACE_USER) != 0) {
    return absl::FailedPreconditionError("this runtime has no user namespaces for pods");
  }
  if (options_.isolation == Isolation::kNamespaces) return absl::OkStatus();
  if ((made & BERTH_NAMESPACE_NETWORK) == 0) {
    return absl::FailedPreconditionError(
        "a virtual machine cannot use the host's network: leave hostNetwork out, or choose another "
        "runtime class");
  }
  if ((made & BERTH_NAMESPACE_IPC) == 0) {
    return absl::FailedPreconditionError(
        "a virtual machine cannot use the host's IPC namespace: leave hostIPC out, or choose "
        "another runtime class");
  }
  BERTH_ASSIGN_OR_RETURN(const uint64_t memory, hostMemory());
  return checkSize(spec, memory);
}

PodRecord KataPlugin::newRecord(const PodSpec& spec) const {
  PodRecord record;
  record.id = spec.id;
  record.directory = spec.directory;
  if ((spec.raw.new_namespaces & BERTH_NAMESPACE_NETWORK) != 0) {
    record.netPin = strCat(options_.netnsDirectory, "/berth-", spec.id);
  }
  record.eventsSocket = strCat(options_.sockets(), "/", spec.id.substr(0, 16));
  record.shim = options_.shim;
  record.keeper = options_.keeper;
  record.namespaces = options_.isolation == Isolation::kNamespaces;
  if ((spec.raw.new_namespaces & BERTH_NAMESPACE_UTS) != 0) record.hostname = spec.hostname;
  record.cgroupParent = spec.cgroupParent;
  record.systemdCgroup = spec.raw.cgroup_driver == BERTH_CGROUP_SYSTEMD;
  record.oomScoreAdj = spec.raw.oom_score_adj;
  return record;
}

absl::Status KataPlugin::makePod(const Op& op, const PodSpec& spec, Pod& pod, PodBuilder& out) {
  BERTH_RETURN_IF_ERROR(madeCgroups_.claim(pod, options_.podLinks()));
  const PodRecord record = pod.record();
  BERTH_RETURN_IF_ERROR(makeFolders(record));
  BERTH_RETURN_IF_ERROR(shareMounts(options_));
  if (!record.netPin.empty()) {
    op.stage("make the pod's network namespace");
    BERTH_RETURN_IF_ERROR(support::makeDirectories(options_.netnsDirectory));
    BERTH_RETURN_IF_ERROR(makeNetworkNamespace(record.netPin));
    out.setNamespace(BERTH_NAMESPACE_NETWORK, record.netPin);
  }
  for (const auto& [bit, name] : kShared) {
    if ((spec.raw.new_namespaces & bit) == 0) continue;
    const std::string pin = strCat(record.namespacesDirectory(), "/", name);
    BERTH_RETURN_IF_ERROR(makeMountPoint(pin));
    out.setNamespace(bit, pin);
  }
  op.stage("start the pod's keeper");
  BERTH_RETURN_IF_ERROR(pod.ensureKeeper(within(limitsOf(op), kKeeperTime)));
  out.setState(serialize(record));
  return absl::OkStatus();
}

Status KataPlugin::podCreate(const Op& op, const PodSpec& spec, PodBuilder& out) {
  if (absl::Status status = checkSpec(spec); !status.ok()) return status;
  PodRecord record = newRecord(spec);
  auto sandbox = sandboxSpec(spec, record, options_);
  if (!sandbox.ok()) return sandbox.status();
  record.sandbox = *std::move(sandbox);
  const auto made = Pod::make(record, *this);
  if (!made.ok()) return made.status();
  const std::shared_ptr<Pod>& pod = *made;
  if (!insert(pod)) {
    return Status(BERTH_ALREADY_EXISTS, strCat("pod ", spec.id, " exists: remove it first"));
  }
  absl::Status status = linkPod(linkOf(spec.id), record);
  if (!status.ok()) {
    erase(spec.id);
    return status;
  }
  status = makePod(op, spec, *pod, out);
  if (status.ok()) return {};
  support::StatusCollector failures;
  failures.add(support::annotate(status, strCat("create pod ", spec.id)));
  const absl::Status undone = releasePod(*pod, madeCgroups_, linkOf(spec.id), limitsFor(kUndoTime));
  if (undone.ok()) dropRemoved(spec.id);
  failures.add(support::annotate(undone, "undo"));
  return failures.status();
}

void KataPlugin::addOptions(const PodRecord& pod, api::CreateTaskRequest& request) const {
  if (!pod.namespaces) {
    if (options_.configPath.empty()) return;
    runtimeoptions::v1::Options options;
    options.set_config_path(options_.configPath);
    request.mutable_options()->set_type_url("runtimeoptions.v1.Options");
    request.mutable_options()->set_value(options.SerializeAsString());
    return;
  }
  containerd::runc::v1::Options options;
  options.set_binary_name(options_.binary);
  options.set_systemd_cgroup(pod.systemdCgroup);
  // Apart from other engines' on this host.
  options.set_root(options_.root + "/oci");
  request.mutable_options()->set_type_url("containerd.runc.v1.Options");
  request.mutable_options()->set_value(options.SerializeAsString());
}

absl::Status KataPlugin::startSandbox(const Op& op, Pod& pod) {
  const PodRecord record = pod.record();
  const CallLimits limits = within(limitsOf(op), std::chrono::seconds(options_.createTimeout));
  BERTH_RETURN_IF_ERROR(support::replaceFile(record.sandboxBundle() + "/config.json",
                                             record.sandbox, 0600, support::Durability::kVisible));
  op.stage("start the pod's shim");
  ShimCall call = pod.shimCall(pod.id(), record.sandboxBundle());
  call.debug = options_.debug;
  BERTH_ASSIGN_OR_RETURN(const ShimAddress address, startShim(call, limits));
  BERTH_RETURN_IF_ERROR(pod.changeRecord([&](PodRecord& r) {
    r.address = address;
    r.shimPid = toldPid(record.sandboxBundle());
    r.shimStart = support::processStart(r.shimPid);
  }));
  BERTH_RETURN_IF_ERROR(pod.listen());
  op.stage("connect to the pod's shim");
  BERTH_ASSIGN_OR_RETURN(const auto shim, pod.shim(limits));
  op.stage("create the pod's sandbox");
  api::CreateTaskRequest create;
  create.set_id(pod.id());
  create.set_bundle(record.sandboxBundle());
  addOptions(record, create);
  BERTH_RETURN_IF_ERROR(shim->tell("Create", create, limits));
  api::ConnectRequest connect;
  connect.set_id(pod.id());
  BERTH_ASSIGN_OR_RETURN(const auto connected,
                         shim->ask<api::ConnectResponse>("Connect", connect, limits));
  BERTH_RETURN_IF_ERROR(pod.changeRecord([&](PodRecord& r) {
    if (r.shimPid == 0) {
      r.shimPid = connected.shim_pid();
      r.shimStart = support::processStart(r.shimPid);
    }
    r.sandboxPid = std::max<int64_t>(connected.task_pid(), 1);
  }));
  pod.awaitSandbox(*shim);
  op.stage("start the pod's sandbox");
  BERTH_RETURN_IF_ERROR(shim->start(pod.id(), {}, limits).status());
  if (!record.namespaces) return absl::OkStatus();
  return pinNamespaces(pod.record());
}

absl::Status KataPlugin::startPod(const Op& op, Pod& pod) {
  absl::Status status = startSandbox(op, pod);
  // What the host keeps takes the place of a record that is damaged: it must know the shim.
  if (status.ok()) {
    const Status kept = host().saveState(pod.id(), serialize(pod.record()));
    status = absl::Status(static_cast<absl::StatusCode>(kept.code()), kept.message());
  }
  if (status.ok()) return status;
  support::StatusCollector failures;
  failures.add(status);
  const std::string said = exitMessageOf(pod.record());
  if (!said.empty()) failures.add(absl::InternalError(strCat("the shim's log ends: ", said)));
  // Also a shim whose sandbox has failed goes on unless it is told.
  failures.add(support::annotate(endPod(pod, limitsFor(kUndoTime)), "undo"));
  return failures.status();
}

Status KataPlugin::podStart(const Op& op, std::string_view id) {
  const auto pod = requirePod(id);
  if (!pod.ok()) return pod.status();
  if (!(*pod)->record().address.address.empty()) {
    // A repeated call; what is left of one that was cut off is undone by the host.
    return (*pod)->shim(limitsOf(op)).status();
  }
  return support::annotate(startPod(op, **pod), strCat("start pod ", id));
}

Status KataPlugin::podStop(const Op& op, std::string_view id) {
  const auto pod = findOrLoad(op, id);
  if (!pod.ok()) return pod.status();
  if (*pod == nullptr) return {};
  op.stage("end the pod's sandbox");
  return endPod(**pod, limitsOf(op));
}

Status KataPlugin::podRemove(const Op& op, std::string_view id) {
  const auto pod = findOrLoad(op, id);
  if (!pod.ok()) return pod.status();
  if (*pod != nullptr) {
    op.stage("end the pod's sandbox");
    absl::Status status = endPod(**pod, limitsOf(op));
    op.stage("remove the pod");
    if (status.ok()) status = releasePod(**pod, madeCgroups_, linkOf(id), limitsOf(op));
    if (!status.ok()) return support::annotate(status, strCat("remove pod ", id));
  }
  // Also of one that is gone already: whoever has removed it may have died then.
  dropRemoved(id);
  return {};
}

void KataPlugin::dropRemoved(std::string_view pod) {
  erase(pod);
  if (const absl::Status left = unshareMounts(options_); !left.ok()) {
    warn(std::string(pod), "the mount that pods share stays", left);
  }
}

}  // namespace berth::kata
