// What is done when the daemon starts: records are read, and the world is asked what became of
// what they describe.
#include "engine/recovery.hpp"

#include <absl/cleanup/cleanup.h>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/names.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// Pods wait for it that want to be attached.
constexpr std::chrono::seconds kCollectTime{30};
constexpr std::chrono::milliseconds kLook{100};
// For one attempt to reach a pod; whoever stops the pod waits for it.
constexpr std::chrono::seconds kReachTime{10};
// How long serving waits for this and for pods to be reached: nearly all are within milliseconds.
constexpr std::chrono::seconds kPatience{2};
// Likewise for what has no record to be ended. Nothing is served that could be mistaken for it.
constexpr std::chrono::seconds kOrphanPatience{30};

std::string nameOf(const records::PodRecord& record) {
  return podName(record.config().metadata());
}

std::string nameOf(const records::ContainerRecord& record) {
  return containerName(record.pod_id(), record.config().metadata());
}

// The client never got its id: nothing of it is to stay, and its name is free at once.
bool isHalfMade(const records::PodRecord& record) {
  return record.state() == records::POD_CREATING || record.restoring();
}

// A runtime of another plugin would take the pod for one that has ended.
bool isOf(const records::PodRecord& record, const plugins::Runtime& runtime) {
  return record.plugin().empty() || record.plugin() == runtime.instance().library().name();
}

}  // namespace

absl::Status Recovery::run() {
  BERTH_RETURN_IF_ERROR(engine_.lifeEvents_.start());
  BERTH_RETURN_IF_ERROR(loadPods());
  BERTH_RETURN_IF_ERROR(loadContainers());
  orphans_.end();
  engine_.retries_.awaitFirstTries(Deadline::clock::now() + kOrphanPatience);
  collectNetworkGarbage(engine_.settings_.network);
  collectCheckpointGarbage();
  // What had happened, but was not told, when the last daemon died.
  for (const auto& pod : engine_.pods()) engine_.lifeEvents_.onStep(*pod);
  for (const auto& container : engine_.containers()) engine_.lifeEvents_.onStep(*container);
  BERTH_RETURN_IF_ERROR(tellOfDeparted());
  // What is undone or stopped holds up no pod that goes on.
  for (const auto& pod : engine_.pods()) recoverPod(pod);
  engine_.retries_.awaitFirstTries(Deadline::clock::now() + kPatience);
  tryRuntimesAgain();
  return absl::OkStatus();
}

absl::Status Recovery::loadPods() {
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> entries, engine_.store_.list(kPodKind));
  for (const store::Entry& entry : entries) {
    records::PodRecord record;
    if (!record.ParseFromString(entry.value) || record.id() != entry.id) {
      // What stands before the damage often says whose it was.
      common::logError("a pod's record is damaged; it is set aside",
                       {{"pod", entry.id}, {"name", nameOf(record)}});
      setAside(kPodKind, entry.id, "it does not parse");
      continue;
    }
    if (record.deleted()) continue;
    auto runtime = engine_.registry_.runtime(record.runtime());
    engine_.seLinuxLevels_.claim(record.selinux_level());
    const bool named = !isHalfMade(record);
    const bool ready = record.state() == records::POD_READY;
    const auto network = engine_.registry_.network(record.network().network());
    const bool isAttached = network.ok() && record.network().wanted();
    const std::string name = nameOf(record);
    auto pod = std::make_shared<Pod>(std::move(record), nullptr, engine_.store_);
    pod->observe(engine_.lifeEvents_);
    if (isAttached) pod->setNetwork(*network);
    // From the start on: what has no record may be in it.
    if (runtime.ok()) putOn(*pod, *runtime);
    std::unique_lock lock(engine_.mapsMutex_);
    engine_.pods_[pod->id()] = pod;
    if (named && (ready || !engine_.podNames_.contains(name))) engine_.podNames_[name] = pod->id();
  }
  return absl::OkStatus();
}

// Whether it is one of the runtime's, which is to be asked of it before anything else.
bool Recovery::putOn(Pod& pod, const std::shared_ptr<plugins::Runtime>& runtime) const {
  const records::PodRecord record = pod.record();
  if (record.state() == records::POD_STOPPED || !isOf(record, *runtime)) return false;
  if (!isHalfMade(record) && record.boot_id() == engine_.bootId_)
    pod.setReached(absl::UnavailableError("it has not been asked yet"));
  pod.setRuntime(runtime);
  return true;
}

absl::Status Recovery::loadContainers() {
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> entries,
                         engine_.store_.list(kContainerKind));
  for (const store::Entry& entry : entries) {
    records::ContainerRecord record;
    const bool parsed = record.ParseFromString(entry.value) && record.id() == entry.id;
    if (parsed && record.deleted()) continue;
    const auto pod = engine_.findPod(parsed ? record.pod_id() : "");
    if (!parsed || !pod.ok()) {
      common::logError("a container's record is damaged or has no pod; it is set aside",
                       {{"container", entry.id},
                        {"pod", record.pod_id()},
                        {"name", record.config().metadata().name()}});
      setAside(kContainerKind, entry.id, parsed ? "its pod is unknown" : "it does not parse");
      continue;
    }
    const bool named = !record.creating();
    const std::string name = nameOf(record);
    auto container = std::make_shared<Container>(std::move(record), *pod, engine_.store_);
    container->observe(engine_.lifeEvents_);
    std::unique_lock lock(engine_.mapsMutex_);
    engine_.containers_[container->id()] = container;
    if (named) engine_.containerNames_[name] = container->id();
  }
  return absl::OkStatus();
}

// On a full disk it stays where it is: whoever is to make room there must be able to start.
void Recovery::setAside(std::string_view kind, const std::string& id, std::string_view reason) {
  const absl::Status kept = engine_.store_.setAside(kind, id, reason);
  if (kept.ok()) return;
  common::logError("a damaged record cannot be set aside; the next start tries again",
                   {{"id", id}, {"error", kept.ToString()}});
}

void Recovery::collectNetworkGarbage(const std::string& network) {
  uint64_t number = 0;
  {
    std::unique_lock lock(engine_.mapsMutex_);
    number = ++collections_[network];
  }
  engine_.retries_.add({.name = "collect the network's garbage",
                        .time = kCollectTime,
                        .awaited = true,
                        .work = [this, network, number](plugins::Operation& op) {
                          return collect(op, network, number);
                        }});
}

// Gives back what the network took for pods that no record knows. Each try spares what is wanted by
// then, and what is wanted later waits for its end.
absl::Status Recovery::collect(plugins::Operation& op, const std::string& network,
                               uint64_t number) {
  std::unique_lock alone(collecting_, std::defer_lock);
  while (!alone.try_lock_for(kLook)) BERTH_RETURN_IF_ERROR(op.check());
  {
    std::unique_lock lock(engine_.mapsMutex_);
    // The one that was asked for since is tried until it is done.
    if (collections_[network] != number) return absl::OkStatus();
    // Whoever waited for an earlier try goes on.
    if (networkReady_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
      networkCollected_ = {};
      networkReady_ = networkCollected_.get_future().share();
    }
  }
  const absl::Cleanup end = [this] { networkCollected_.set_value(); };
  if (const auto ending = orphans_.pods(); !ending.empty()) {
    return absl::UnavailableError(
        strCat("pod sandbox ", ending.front(), ", which has no record, may still have an address"));
  }
  auto serving = engine_.registry_.network(network);
  if (!serving.ok()) return absl::OkStatus();
  std::vector<plugins::Attachment> wanted;
  for (const auto& pod : engine_.pods()) {
    pod->peek([&](const records::PodRecord& r) {
      if (r.network().wanted()) wanted.push_back({r.id(), r.network().state()});
    });
  }
  return (*serving)->collectGarbage(op, wanted);
}

absl::Status Recovery::awaitNetwork(const plugins::Operation& op) const {
  std::shared_lock lock(engine_.mapsMutex_);
  const std::shared_future<void> ready = networkReady_;
  lock.unlock();
  while (ready.wait_for(kLook) != std::future_status::ready) BERTH_RETURN_IF_ERROR(op.check());
  return absl::OkStatus();
}

void Recovery::recoverPod(const std::shared_ptr<Pod>& pod) {
  const records::PodRecord record = pod->record();
  const bool rebooted = record.boot_id() != engine_.bootId_;
  if (rebooted && record.state() != records::POD_STOPPED) {
    endContainersOf(*pod, "the node was restarted");
    recordLoss(*pod);
  }
  if (const absl::Status held = engine_.holderOf(*pod).status(); !held.ok()) {
    common::logError("a pod is left as it is",
                     {{"pod", pod->id()}, {"error", support::fromAbsl(held.message())}});
    return;
  }
  if (isHalfMade(record)) return engine_.retries_.add(engine_.undoOf(pod));
  if (record.state() == records::POD_STOPPED) {
    // No runtime would ever tell of those that are recorded as running.
    endContainersOf(*pod, "its exit was not recorded before its pod was stopped");
    return settleContainersOf(*pod);
  }
  if (rebooted || record.state() == records::POD_STOPPING) {
    settleContainersOf(*pod);
    return finishStop(pod);
  }
  engine_.retries_.add(
      {.name = strCat("recover pod sandbox ", pod->id()),
       .time = kReachTime,
       .awaited = true,
       .work = [this, pod](plugins::Operation& op) { return reachAndSettle(op, pod); }});
}

// What the daemon was doing to them when it ended.
void Recovery::settleContainersOf(const Pod& pod) {
  for (const auto& container : engine_.containersOf(pod.id())) {
    const records::ContainerRecord record = container->record();
    if (record.creating()) {
      engine_.retries_.add(engine_.undoOf(container));
      continue;
    }
    // Its start goes on without the daemon.
    if (record.state() != v1::CONTAINER_CREATED) engine_.detachMappedMounts(*container);
    if (!record.paused()) continue;
    engine_.retries_.add(
        {.name = strCat("resume container ", container->id()),
         .work = [this, container](plugins::Operation&) { return engine_.resume(*container); }});
  }
}

// What it took (addresses, mounts, namespaces) is given back now; the record stays for the kubelet.
void Recovery::finishStop(const std::shared_ptr<Pod>& pod) {
  engine_.retries_.add({.name = strCat("finish stopping pod sandbox ", pod->id()),
                        .work = [this, pod](plugins::Operation& op) -> absl::Status {
                          BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
                          return engine_.stopPod(op, *pod);
                        }});
}

}  // namespace berth::engine
