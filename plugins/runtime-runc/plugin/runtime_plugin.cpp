#include "runtime_plugin.hpp"

#include <array>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "extensions.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// For clean-up that no call of the host waits for.
constexpr auto kSettleTime = std::chrono::seconds(30);

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

uint32_t flagsOf(const protocol::ContainerStatus& status) {
  return status.oomKills > 0 ? BERTH_EVENT_OOM_KILLED : 0;
}

berth_event eventOf(berth_event_kind kind, const std::string& pod,
                    const protocol::ContainerStatus& status) {
  berth_event event{};
  event.kind = kind;
  event.flags = flagsOf(status);
  event.pod = str(pod);
  event.container = str(status.containerId);
  event.timestamp = status.finishedAt;
  event.exit_code = status.exitCode;
  return event;
}

}  // namespace

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
  return result;
}

RuntimePlugin::~RuntimePlugin() {
  stop();
}

RuntimePlugin& RuntimePlugin::of(void* instance) {
  return *static_cast<RuntimePlugin*>(static_cast<Runtime*>(instance));
}

Status RuntimePlugin::configure(std::string_view options) {
  auto parsed = parseOptions(options, defaultRoot(host()));
  if (!parsed.ok()) return parsed.status();
  options_ = *std::move(parsed);
  return {};
}

Status RuntimePlugin::start() {
  const auto begin = [this]() -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(options_.path, findBinary(options_.path));
    BERTH_ASSIGN_OR_RETURN(options_.monitor, findMonitor(options_.monitor));
    BERTH_ASSIGN_OR_RETURN(layout_, CgroupLayout::detect());
    BERTH_ASSIGN_OR_RETURN(features_, probeRuntime(options_.path));
    BERTH_RETURN_IF_ERROR(support::makeDirectories(options_.runtimeRoot(), 0700));
    BERTH_RETURN_IF_ERROR(support::makeDirectories(options_.podLinks(), 0700));
    BERTH_RETURN_IF_ERROR(support::removeTemporaries(options_.root));
    checkpoints_ = probeCheckpoints(features_, options_.checkpointCache());
    ownedCgroups_ = std::make_unique<OwnedCgroups>(*layout_, options_.ownedCgroups());
    stopping_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stopping_) return support::errnoStatus(errno, "make an eventfd");
    return absl::OkStatus();
  };
  const absl::Status status = begin();
  if (!status.ok()) return support::annotate(status, "start runtime-runc");
  lossWatcher_ = std::thread([this] { watchLosses(); });
  return {};
}

void RuntimePlugin::stop() {
  if (lossWatcher_.joinable()) {
    {
      const std::lock_guard lock(lossMutex_);
      lossEnd_ = true;
    }
    lossAdded_.notify_all();
    (void)::eventfd_write(stopping_.get(), 1);
    lossWatcher_.join();
  }
  // Hangs up; the monitors and their containers go on.
  pods_.takeAll();
}

const void* RuntimePlugin::extension(std::string_view id, uint32_t revision) {
  return findExtension(id, revision);
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
  BERTH_ASSIGN_OR_RETURN(target.client, target.pod->client());
  return target;
}

std::string RuntimePlugin::netPinOf(std::string_view pod) const {
  return strCat(options_.netnsDirectory, "/berth-", pod);
}

std::shared_ptr<Pod> RuntimePlugin::newPod(PodRecord record) {
  PodListener& listener = *this;
  return std::make_shared<Pod>(std::move(record), *layout_, listener);
}

std::shared_ptr<Pod> RuntimePlugin::findOrLoadPod(std::string_view id) {
  if (auto found = pods_.find(id)) return found;
  if (!checkId("pod", id).ok()) return nullptr;
  std::array<char, PATH_MAX> target{};
  const std::string link = strCat(options_.podLinks(), "/", id);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return nullptr;
  const std::string directory(target.data(), static_cast<size_t>(length));
  auto record = loadPodRecord(directory);
  if (!record.ok()) {
    // The link comes first of all, so nothing but these can have been made.
    record = PodRecord{.id = std::string(id),
                       .directory = directory,
                       .netPin = netPinOf(id),
                       .runtimeBinary = options_.path,
                       .runtimeRoot = options_.runtimeRoot(),
                       .runtimeArgs = options_.args};
  }
  auto pod = newPod(*record);
  for (ContainerRecord& container : loadContainerRecords(*record)) pod->add(std::move(container));
  return pods_.insert(pod) ? pod : pods_.find(id);
}

void RuntimePlugin::onContainerExited(const std::string& pod,
                                      const protocol::ContainerStatus& status) {
  host().emit(eventOf(BERTH_EVENT_CONTAINER_EXITED, pod, status));
}

void RuntimePlugin::onContainerOom(const std::string& pod,
                                   const protocol::ContainerStatus& status) {
  berth_event event = eventOf(BERTH_EVENT_CONTAINER_OOM, pod, status);
  if (event.timestamp == 0) event.timestamp = support::nowNanoseconds();
  host().emit(event);
}

void RuntimePlugin::onMonitorLost(const std::string& pod) {
  {
    const std::lock_guard lock(lossMutex_);
    losses_.push_back(pod);
  }
  lossAdded_.notify_one();
}

void RuntimePlugin::watchLosses() {
  std::unique_lock lock(lossMutex_);
  for (;;) {
    lossAdded_.wait(lock, [this] { return lossEnd_ || !losses_.empty(); });
    if (lossEnd_) return;
    const std::string pod = std::move(losses_.front());
    losses_.pop_front();
    lock.unlock();
    settleLoss(pod);
    lock.lock();
  }
}

// Without a monitor nobody would hear of an exit or write a log: what still runs is ended.
void RuntimePlugin::settleLoss(const std::string& id) {
  const std::shared_ptr<Pod> pod = pods_.find(id);
  if (pod == nullptr) return;
  host().error("the monitor of a pod has died; ending what it ran", {{"pod", id}});
  CallLimits limits = limitsFor(kSettleTime);
  limits.cancelFd = stopping_.get();
  const absl::Status killed = killPod(endContext(), *pod, limits);
  if (!killed.ok()) {
    host().error("could not end every process of a pod without a monitor",
                 {{"pod", id}, {"error", support::fromAbsl(killed.message())}});
  }
  // An exit that the monitor wrote down may not have been told any more. Repeats do no harm.
  if (const auto exits = readExitRecords(pod->record().runDir()); exits.ok()) {
    for (const protocol::ContainerStatus& status : *exits) {
      if (const auto container = pod->find(status.containerId)) pod->update(*container, status);
      onContainerExited(id, status);
    }
  }
  constexpr std::string_view kMessage = "the pod's monitor has died; its containers were killed";
  berth_event event{};
  event.kind = BERTH_EVENT_POD_LOST;
  event.pod = str(id);
  event.timestamp = support::nowNanoseconds();
  event.message = str(kMessage);
  host().emit(event);
}

}  // namespace berth::runc
