// Pods: creating, stopping, removing, finding them again.
#include <algorithm>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "runtime_plugin.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// Undoing must come to an end though the call that failed has no time left.
constexpr auto kUndoTime = std::chrono::seconds(10);

protocol::NamespaceMode modeOf(const PodSpec& spec, uint32_t bit) {
  return (spec.raw.new_namespaces & bit) != 0 ? protocol::NamespaceMode::kNew
                                              : protocol::NamespaceMode::kHost;
}

std::vector<protocol::IdMapping> mappingsOf(const std::vector<berth_id_mapping>& given) {
  std::vector<protocol::IdMapping> result;
  result.reserve(given.size());
  for (const berth_id_mapping& mapping : given) {
    result.push_back({mapping.container_id, mapping.host_id, mapping.length});
  }
  return result;
}

protocol::StartRequest startRequest(const PodSpec& spec, const PodRecord& record) {
  protocol::StartRequest request;
  request.podId = record.id;
  request.runDir = record.runDir();
  request.hostname = spec.hostname;
  for (const auto& [name, value] : spec.sysctls) {
    request.sysctls.push_back({std::string(name), std::string(value)});
  }
  request.net = modeOf(spec, BERTH_NAMESPACE_NETWORK);
  request.ipc = modeOf(spec, BERTH_NAMESPACE_IPC);
  request.uts = modeOf(spec, BERTH_NAMESPACE_UTS);
  request.pid = modeOf(spec, BERTH_NAMESPACE_PID);
  request.user = modeOf(spec, BERTH_NAMESPACE_USER);
  request.uidMappings = mappingsOf(spec.uidMappings);
  request.gidMappings = mappingsOf(spec.gidMappings);
  request.netPin = record.netPin;
  request.runtimePath = record.runtimeBinary;
  request.runtimeRoot = record.runtimeRoot;
  request.runtimeArgs = record.runtimeArgs;
  request.setOomScoreAdj = 1;
  request.oomScoreAdj = spec.raw.oom_score_adj;
  return request;
}

// The kubelet names a pod's cgroup after its uid; with systemd, dashes become underscores.
bool isOwnCgroup(const PodSpec& spec) {
  const size_t slash = spec.cgroupParent.rfind('/');
  std::string last(spec.cgroupParent.substr(slash == std::string_view::npos ? 0 : slash + 1));
  const auto contains = [&](std::string_view text) {
    return !text.empty() && last.find(text) != std::string::npos;
  };
  std::string uid = copy(spec.raw.uid);
  if (contains(uid) || contains(spec.id)) return true;
  std::replace(uid.begin(), uid.end(), '-', '_');
  return contains(uid);
}

// The link from the pod's id, by which an interrupted creation can be undone.
absl::Status linkPod(const std::string& links, const PodRecord& record) {
  const std::string link = strCat(links, "/", record.id);
  if (support::steps::symlink(record.directory.c_str(), link.c_str()) == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    return absl::AlreadyExistsError(strCat("pod ", record.id, " exists: remove it first"));
  }
  return support::errnoStatus(errno, strCat("link ", link));
}

absl::Status makeFolders(const PodRecord& record, const std::string& netnsDirectory) {
  if (!record.netPin.empty()) BERTH_RETURN_IF_ERROR(support::makeDirectories(netnsDirectory));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(record.runDir(), 0700));
  return support::makeDirectories(record.containersDir(), 0700);
}

void tellNamespaces(const protocol::PodFacts& facts, PodBuilder& out) {
  const std::pair<uint32_t, const std::string&> paths[] = {
      {BERTH_NAMESPACE_NETWORK, facts.netPath}, {BERTH_NAMESPACE_IPC, facts.ipcPath},
      {BERTH_NAMESPACE_UTS, facts.utsPath},     {BERTH_NAMESPACE_PID, facts.pidPath},
      {BERTH_NAMESPACE_USER, facts.userPath},
  };
  for (const auto& [bit, path] : paths) {
    if (!path.empty()) out.setNamespace(bit, path);
  }
}

absl::Status checkSpec(const PodSpec& spec) {
  BERTH_RETURN_IF_ERROR(checkId("pod", spec.id));
  const berth_cgroup_driver driver = spec.raw.cgroup_driver;
  if (driver != BERTH_CGROUP_CGROUPFS && driver != BERTH_CGROUP_SYSTEMD) {
    return absl::InvalidArgumentError(strCat("cgroup driver ", driver, " is not known"));
  }
  if (!spec.directory.starts_with('/')) {
    return absl::InvalidArgumentError(
        strCat("the pod's directory \"", spec.directory, "\" must be an absolute path"));
  }
  return absl::OkStatus();
}

}  // namespace

PodRecord RuntimePlugin::newRecord(const PodSpec& spec) const {
  PodRecord record;
  record.id = spec.id;
  record.directory = spec.directory;
  if ((spec.raw.new_namespaces & BERTH_NAMESPACE_NETWORK) != 0) record.netPin = netPinOf(spec.id);
  record.runtimeBinary = options_.path;
  record.runtimeRoot = options_.runtimeRoot();
  record.runtimeArgs = options_.args;
  record.cgroupParent = spec.cgroupParent;
  if (spec.raw.cgroup_driver == BERTH_CGROUP_SYSTEMD) {
    record.driver = CgroupDriver::kSystemd;
    record.runtimeArgs.push_back("--systemd-cgroup");
  }
  record.ownCgroup = isOwnCgroup(spec);
  return record;
}

absl::Status RuntimePlugin::makePod(const Op& op, const PodSpec& spec, Pod& pod, PodBuilder& out) {
  PodRecord record = pod.record();
  BERTH_RETURN_IF_ERROR(makeFolders(record, options_.netnsDirectory));
  BERTH_RETURN_IF_ERROR(save(record));
  op.stage("start the pod's monitor");
  protocol::StartRequest request = startRequest(spec, record);
  request.runtimeCopy = sealedRuntime_.pathOf(record.runtimeBinary);
  BERTH_ASSIGN_OR_RETURN(const protocol::PodFacts facts,
                         startMonitor(options_.monitor, request, limitsOf(op)));
  record.initPid = facts.initPid;
  record.initStart = facts.initPid > 0 ? support::processStart(facts.initPid) : 0;
  BERTH_RETURN_IF_ERROR(save(record));
  pod.setRecord(record);
  op.stage("connect to the pod's monitor");
  BERTH_RETURN_IF_ERROR(pod.monitor().reach(limitsOf(op)).status());
  tellNamespaces(facts, out);
  out.setState(serialize(record));
  return absl::OkStatus();
}

Status RuntimePlugin::podCreate(const Op& op, const PodSpec& spec, PodBuilder& out) {
  if (absl::Status status = checkSpec(spec); !status.ok()) return status;
  const PodRecord record = newRecord(spec);
  if (const auto parent = podCgroup(record.cgroupParent, record.driver); !parent.ok()) {
    return parent.status();
  }
  const auto pod = newPod(record);
  if (!pods_.insert(pod)) {
    return Status(BERTH_ALREADY_EXISTS, strCat("pod ", spec.id, " exists: remove it first"));
  }
  absl::Status status = linkPod(options_.podLinks(), record);
  if (!status.ok()) {
    pods_.erase(spec.id);
    return status;
  }
  status = makePod(op, spec, *pod, out);
  if (status.ok()) return {};
  support::StatusCollector failures;
  failures.add(support::annotate(status, strCat("create pod ", spec.id)));
  const absl::Status undone = removePod(endContext(), *pod, limitsFor(kUndoTime));
  if (undone.ok()) pods_.erase(spec.id);
  failures.add(support::annotate(undone, "undo"));
  return failures.status();
}

Status RuntimePlugin::podStart(const Op& /*op*/, std::string_view pod) {
  return requirePod(pod).status();
}

// A monitor that has lost its socket serves nobody, and without an answer nothing of its pod could
// ever end.
void RuntimePlugin::endUnreachable(const Op& op, Pod& pod) {
  constexpr auto kPatience = std::chrono::seconds(3);
  CallLimits limits = limitsOf(op);
  limits.deadline = std::min(limits.deadline, std::chrono::steady_clock::now() + kPatience);
  const absl::Status reached = pod.monitor().reach(limits).status();
  const std::string folder = pod.record().runDir();
  if (!absl::IsDeadlineExceeded(reached) || !isUnreachable(folder)) return;
  host().error("nobody can reach the monitor of a pod that is to end; it is killed",
               {{"pod", pod.id()}, {"socket", monitorSocket(folder)}});
  killMonitor(folder);
}

Status RuntimePlugin::podStop(const Op& op, std::string_view pod) {
  const auto loaded = findOrLoadPod(pod);
  if (!loaded.ok()) return loaded.status();
  const std::shared_ptr<Pod>& found = *loaded;
  if (found == nullptr) return {};
  endUnreachable(op, *found);
  op.stage("end the pod's processes");
  return killPod(endContext(&op), *found, limitsOf(op));
}

Status RuntimePlugin::podRemove(const Op& op, std::string_view pod) {
  const auto loaded = findOrLoadPod(pod);
  if (!loaded.ok()) return loaded.status();
  const std::shared_ptr<Pod>& found = *loaded;
  if (found == nullptr) return {};
  endUnreachable(op, *found);
  op.stage("remove the pod");
  absl::Status status = removePod(endContext(&op), *found, limitsOf(op));
  if (status.ok()) pods_.erase(pod);
  return status;
}

Status RuntimePlugin::podRecover(const Op& op, std::string_view pod, std::string_view directory,
                                 std::string_view state, StatusSink& out) {
  return support::annotate(recoverPod(op, pod, directory, state, out), strCat("recover pod ", pod));
}

absl::StatusOr<PodRecord> RuntimePlugin::replaceRecord(const std::string& id,
                                                       const std::string& directory,
                                                       const absl::Status& lost,
                                                       std::string_view state) {
  constexpr std::string_view kReplaced =
      "the record of a pod is lost; what the host has kept of it is used instead";
  BERTH_ASSIGN_OR_RETURN(PodRecord kept, parsePodRecord(id, state));
  if (!isDamage(lost)) {
    host().warn(kReplaced, {{"pod", id}, {"error", support::fromAbsl(lost.message())}});
    return kept;
  }
  setAside(kReplaced, id, {PodRecord{.directory = directory}.file(), lost}, strCat(id, "-"));
  keepInstead(save(kept), id);
  return kept;
}

absl::Status RuntimePlugin::recoverPod(const Op& op, std::string_view id,
                                       std::string_view directory, std::string_view state,
                                       StatusSink& out) {
  std::shared_ptr<Pod> pod = pods_.find(id);
  const bool isNew = pod == nullptr;
  if (isNew) {
    // The file is at least as new as what the host kept, but the host's copy outlives it.
    auto record = loadPodRecord(std::string(id), std::string(directory));
    const bool isLost = absl::IsNotFound(record.status()) || isDamage(record.status());
    if (isLost && !state.empty()) {
      BERTH_ASSIGN_OR_RETURN(
          record, replaceRecord(std::string(id), std::string(directory), record.status(), state));
    }
    BERTH_RETURN_IF_ERROR(record.status());
    pod = newPod(*std::move(record));
    BERTH_RETURN_IF_ERROR(loadContainers(*pod));
    if (!pods_.insert(pod)) return absl::AbortedError("it is being recovered by another call");
  }
  op.stage("connect to the pod's monitor");
  absl::Status reached = pod->monitor().reach(limitsOf(op)).status();
  if (pod->isDead()) {
    // The pod stays in the table so that podRemove can give back what is left of it.
    support::StatusCollector failures;
    failures.add(absl::NotFoundError("its monitor has died"));
    failures.add(killPod(endContext(&op), *pod, limitsOf(op)));
    BERTH_ASSIGN_OR_RETURN(const std::vector<protocol::ContainerStatus> exits, keptExits(*pod));
    for (const protocol::ContainerStatus& status : exits) {
      out.add(toAbi(status, status.containerId));
    }
    return failures.status();
  }
  if (!reached.ok()) {
    if (isNew) pods_.erase(id);
    return reached;
  }
  for (const auto& container : pod->containers()) {
    // A start that was at work when the host died goes on in the monitor.
    if (pod->status(*container).state == protocol::ContainerState::kStarting) {
      (void)startContainer(op, {pod, container}, [&](MonitorClient& monitor) {
        return monitor.startContainer(container->record.id, limitsOf(op));
      });
    }
    if (pod->status(*container).state == protocol::ContainerState::kRunning)
      keepOomGroup(*pod, *container);
    out.add(toAbi(pod->status(*container), container->record.id));
  }
  return absl::OkStatus();
}

}  // namespace berth::runc
