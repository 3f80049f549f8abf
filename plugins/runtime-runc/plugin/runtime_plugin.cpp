#include "runtime_plugin.hpp"

#include <array>
#include <cerrno>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <climits>

#include "berth/support/files.hpp"
#include "berth/support/shared_directory.hpp"
#include "berth/support/status.hpp"
#include "systemd_unit.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// What a container that never ran is reported with.
constexpr int32_t kStartFailedCode = 128;

// A host may leave it to the plugin.
std::string defaultRoot(const Host& host) {
  if (!host.stateDirectory().empty()) return std::string(host.stateDirectory());
  return strCat("/run/berth/runtime-runc/", host.instance());
}

berth_container_state stateOf(const protocol::ContainerStatus& status) {
  if (hasEnded(status)) return BERTH_CONTAINER_EXITED;
  return status.state == protocol::ContainerState::kRunning ? BERTH_CONTAINER_RUNNING
                                                            : BERTH_CONTAINER_CREATED;
}

absl::StatusOr<std::string> findRuntime(const Options& options) {
  auto found = findBinary(options.path);
  return found.ok() ? found : support::annotate(found.status(), "option path");
}

// With which cgroup driver pods come is their affair. runc reaches systemd without a bus as well;
// crun does not.
void examineSystemd(Findings& out) {
  constexpr std::chrono::seconds kPatience{2};
  const absl::Status reached = awaitUnits(kPatience);
  if (reached.ok()) return out.ok("systemd", "answers on the system bus");
  out.limited("systemd",
              strCat("the cgroup driver \"systemd\" cannot change limits, nor crun start "
                     "containers with it: ",
                     support::fromAbsl(reached.message()), "; install dbus"));
}

}  // namespace

uint32_t flagsOf(const protocol::ContainerStatus& status) {
  return status.oomKills > 0 ? BERTH_EVENT_OOM_KILLED : 0;
}

berth_container_status toAbi(const protocol::ContainerStatus& status, std::string_view id) {
  berth_container_status result{};
  result.size = sizeof result;
  result.id = str(id);
  result.state = stateOf(status);
  result.flags = flagsOf(status);
  result.pid = result.state == BERTH_CONTAINER_RUNNING ? status.pid : 0;
  result.exit_code =
      status.state == protocol::ContainerState::kStartFailed ? kStartFailedCode : status.exitCode;
  result.started_at = status.startedAt;
  result.finished_at = status.finishedAt;
  result.message = str(status.error);
  return result;
}

RuntimePlugin::~RuntimePlugin() {
  stop();
}

Status RuntimePlugin::configure(std::string_view options) {
  auto parsed = parseOptions(options, defaultRoot(host()));
  if (!parsed.ok()) return parsed.status();
  options_ = *std::move(parsed);
  return {};
}

Status RuntimePlugin::start() {
  const auto begin = [this]() -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(options_.path, findRuntime(options_));
    BERTH_ASSIGN_OR_RETURN(options_.monitor, findMonitor(options_.monitor));
    BERTH_ASSIGN_OR_RETURN(layout_, CgroupLayout::detect());
    BERTH_ASSIGN_OR_RETURN(features_, probeRuntime(options_.path));
    BERTH_RETURN_IF_ERROR(support::makeDirectories(options_.runtimeRoot(), 0700));
    BERTH_RETURN_IF_ERROR(support::makeDirectories(options_.podLinks(), 0700));
    BERTH_ASSIGN_OR_RETURN(shared_, support::shareDirectory(options_.podLinks(), [this] {
                             return support::removeTemporaries(options_.root);
                           }));
    checkpoints_ = probeCheckpoints(features_, options_.checkpointCache());
    ownedCgroups_ = std::make_unique<OwnedCgroups>(*layout_, options_.ownedCgroups());
    const absl::Status loaded = ownedCgroups_->load();
    constexpr std::string_view kUnknown =
        "which cgroups were made for pods of before is not known; those may stay";
    if (isDamage(loaded)) {
      setAside(kUnknown, "", {options_.ownedCgroups(), loaded}, "");
    } else if (absl::IsFailedPrecondition(loaded)) {
      host().error(kUnknown, {{"error", support::fromAbsl(loaded.message())}});
    } else {
      BERTH_RETURN_IF_ERROR(loaded);
    }
    return losses_.start();
  };
  return begin();
}

void RuntimePlugin::stop() {
  losses_.stop();
  oomGroups_.stop();
  // Hangs up; the monitors and their containers go on.
  pods_.takeAll();
}

Status RuntimePlugin::examine(const Op& /*op*/, Findings& out) {
  const auto binary = findRuntime(options_);
  const auto features =
      binary.ok() ? probeRuntime(*binary) : absl::StatusOr<RuntimeFeatures>(binary.status());
  if (features.ok()) {
    out.ok("OCI runtime", strCat(*binary, ", ", features->name, " ", features->version));
  } else {
    out.refused("OCI runtime", support::fromAbsl(features.status().message()));
  }
  const auto monitor = findMonitor(options_.monitor);
  if (monitor.ok()) {
    out.ok("berth-monitor", *monitor);
  } else {
    out.refused("berth-monitor", support::fromAbsl(monitor.status().message()));
  }
  const auto layout = CgroupLayout::detect();
  if (!layout.ok()) out.refused("cgroups", support::fromAbsl(layout.status().message()));
  if (::sd_booted() > 0) examineSystemd(out);
  return examinePods(out);
}

absl::Status RuntimePlugin::examinePods(Findings& out) const {
  BERTH_ASSIGN_OR_RETURN(const auto aside, support::AsideFolder(options_.damaged()).list());
  for (const std::string& path : aside) {
    out.limited("damaged record", support::describeAside(path));
  }
  const auto pods = support::listDirectory(options_.podLinks());
  if (!pods.ok()) return absl::OkStatus();  // there has never been one
  for (const std::string& id : *pods) {
    const std::string folder =
        PodRecord{.directory = strCat(options_.podLinks(), "/", id)}.runDir();
    if (!support::pathExists(folder) || !isUnreachable(folder)) continue;
    out.limited("monitor", strCat(monitorSocket(folder), ": nobody can reach the monitor of pod ",
                                  id, "; stop and remove the pod"));
  }
  return absl::OkStatus();
}

Status RuntimePlugin::features(std::string& json) {
  json = describeFeatures(features_, checkpoints_);
  return {};
}

absl::StatusOr<std::shared_ptr<Pod>> RuntimePlugin::requirePod(std::string_view pod) const {
  std::shared_ptr<Pod> found = pods_.find(pod);
  if (found != nullptr) return found;
  return absl::NotFoundError(strCat("pod ", pod, " is not known to this runtime"));
}

absl::StatusOr<RuntimePlugin::Target> RuntimePlugin::requireContainer(
    std::string_view pod, std::string_view container) const {
  Target target;
  BERTH_ASSIGN_OR_RETURN(target.pod, requirePod(pod));
  target.container = target.pod->find(container);
  if (target.container == nullptr) {
    return absl::NotFoundError(strCat("pod ", pod, " has no container ", container));
  }
  if (target.container->record.bundle.empty()) {
    return absl::FailedPreconditionError(
        strCat("the record of container ", container, " is damaged: remove it"));
  }
  return target;
}

absl::StatusOr<RuntimePlugin::Connected> RuntimePlugin::requireMonitor(
    const Op& op, std::string_view pod, std::string_view container) const {
  BERTH_ASSIGN_OR_RETURN(Target target, requireContainer(pod, container));
  BERTH_ASSIGN_OR_RETURN(auto client, target.pod->monitor().reach(limitsOf(op)));
  return Connected{std::move(target), std::move(client)};
}

std::string RuntimePlugin::netPinOf(std::string_view pod) const {
  return strCat(options_.netnsDirectory, "/berth-", pod);
}

void RuntimePlugin::setAside(std::string_view what, const std::string& pod,
                             const support::DamagedFile& file, std::string_view kind) {
  const support::AsideFolder folder(options_.damaged());
  host().error(what, {{"pod", pod},
                      {"error", support::fromAbsl(file.why.message())},
                      {"aside", folder.put(file, kind)}});
}

// A full disk is no reason to do without the pod.
void RuntimePlugin::keepInstead(const absl::Status& kept, const std::string& pod) {
  if (kept.ok()) return;
  host().error("what takes the place of a damaged record could not be written",
               {{"pod", pod}, {"error", support::fromAbsl(kept.message())}});
}

std::shared_ptr<Pod> RuntimePlugin::newPod(PodRecord record) {
  PodListener& listener = *this;
  return std::make_shared<Pod>(std::move(record), *layout_, listener);
}

absl::Status RuntimePlugin::loadContainers(Pod& pod) {
  const PodRecord record = pod.record();
  BERTH_ASSIGN_OR_RETURN(LoadedContainers loaded, loadContainerRecords(record));
  for (const support::DamagedFile& damage : loaded.damages) {
    setAside("the record of a container is damaged; it can only be removed", pod.id(), damage,
             "container-");
  }
  for (ContainerRecord& container : loaded.records) {
    if (container.bundle.empty()) keepInstead(save(record, container), pod.id());
    // One that has not been started has no cgroup yet.
    if (record.driver == CgroupDriver::kCgroupfs) {
      BERTH_RETURN_IF_ERROR(ownedCgroups_->claim(record.id, parentCgroup(container.cgroup)));
    }
    BERTH_RETURN_IF_ERROR(pod.add(std::move(container)).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Pod>> RuntimePlugin::findOrLoadPod(std::string_view pod) {
  if (auto found = pods_.find(pod)) return found;
  if (!checkId("pod", pod).ok()) return nullptr;
  const std::string id(pod);
  std::array<char, PATH_MAX> target{};
  const std::string link = strCat(options_.podLinks(), "/", id);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length < 0 && errno == ENOENT) return nullptr;
  if (length < 0) return support::errnoStatus(errno, strCat("read link ", link));
  const std::string directory(target.data(), static_cast<size_t>(length));
  auto record = loadPodRecord(id, directory);
  if (isDamage(record.status())) {
    setAside("the record of a pod is damaged; what it alone tells of cannot be ended", id,
             {PodRecord{.directory = directory}.file(), record.status()}, strCat(id, "-"));
  }
  // The link comes first of all: without a record there is nothing but these.
  if (absl::IsNotFound(record.status()) || isDamage(record.status())) {
    record = PodRecord{.id = id,
                       .directory = directory,
                       .netPin = netPinOf(id),
                       .runtimeBinary = options_.path,
                       .runtimeRoot = options_.runtimeRoot(),
                       .runtimeArgs = options_.args};
  }
  BERTH_RETURN_IF_ERROR(record.status());
  auto made = newPod(*std::move(record));
  BERTH_RETURN_IF_ERROR(loadContainers(*made));
  return pods_.insert(made) ? made : pods_.find(id);
}

}  // namespace berth::runc
