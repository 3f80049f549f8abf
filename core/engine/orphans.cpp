#include "engine/orphans.hpp"

#include <algorithm>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

using support::strCat;

namespace {

constexpr size_t kIdLength = 64;

bool isId(std::string_view name) {
  return name.size() == kIdLength &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::vector<std::string> idsIn(const std::string& directory) {
  auto names = support::listDirectory(directory);
  if (!names.ok()) return {};  // there has never been one
  std::erase_if(*names, [](const std::string& name) { return !isId(name); });
  return *std::move(names);
}

// The container that a snapshot is for, its own root filesystem or an image that it mounts.
std::string_view containerOf(std::string_view snapshot) {
  return snapshot.substr(0, kIdLength);
}

absl::Status unmountAll(const std::string& directory) {
  const auto names = support::listDirectory(directory);
  if (!names.ok()) return absl::OkStatus();
  support::StatusCollector failures;
  for (const std::string& name : *names) {
    failures.add(support::unmount(strCat(directory, "/", name), support::UnmountMode::kLazy));
  }
  return failures.status();
}

}  // namespace

// Each has a directory from before anything of it is made until all of it is gone.
std::vector<std::string> Orphans::pods() const {
  std::vector<std::string> ids = idsIn(strCat(engine_.settings_.state, "/pods"));
  std::shared_lock lock(engine_.mapsMutex_);
  std::erase_if(ids, [this](const std::string& id) { return engine_.pods_.contains(id); });
  return ids;
}

void Orphans::end() {
  for (const std::string& id : pods()) {
    const auto hostname = support::readFile(strCat(engine_.podDirectory(id), "/hostname"));
    common::logError("a pod without a record is ended",
                     {{"pod", id}, {"hostname", hostname.ok() ? *hostname : ""}});
    engine_.retries_.add({.name = strCat("end pod sandbox ", id, ", which has no record"),
                          .awaited = true,
                          .work = [this, id](plugins::Operation& op) { return endPod(op, id); }});
  }
  for (const std::string& id : idsIn(strCat(engine_.settings_.state, "/containers"))) {
    if (engine_.findContainer(id).ok()) continue;
    common::logError("a container without a record is ended", {{"container", id}});
    engine_.retries_.add(
        {.name = strCat("end container ", id, ", which has no record"),
         .work = [this, id](plugins::Operation& op) { return endContainer(op, id); }});
  }
  // A task for each: one that does not answer holds up no other.
  for (const auto& [name, snapshotter] : engine_.registry_.snapshotters()) {
    engine_.retries_.add(
        {.name = strCat("remove snapshots of containers without a record from ", name),
         .work = [this, one = snapshotter](plugins::Operation& op) {
           return removeSnapshots(op, *one);
         }});
  }
  engine_.retries_.add({.name = "remove volumes of containers without a record",
                        .work = [this](plugins::Operation&) { return removeVolumes(); }});
}

// Which runtime and network it had, its record would have said: to all others it is gone already.
absl::Status Orphans::endPod(plugins::Operation& op, const std::string& id) {
  support::StatusCollector failures;
  op.setStage("end the pod's processes");
  // First of all: one that comes back from now on is still one that was not asked. The pod's
  // processes may go on, and need their address and their files.
  for (const plugins::Failure& out : engine_.registry_.failures())
    failures.add(absl::UnavailableError(
        strCat("it may be a pod of the runtime ", out.wanted.name, ", which is out of service")));
  for (const auto& [name, runtime] : engine_.registry_.runtimes())
    failures.add(runtime->stopPod(op, id));
  for (const auto& pod : engine_.pods()) {
    if (engine_.holderOf(*pod).ok()) continue;
    failures.add(
        absl::UnavailableError(strCat("it may be a pod of the runtime ", pod->runtimeName(),
                                      ", as pod sandbox ", pod->id(), " is, which is not there")));
  }
  BERTH_RETURN_IF_ERROR(failures.status());
  op.setStage("detach the network");
  plugins::NetworkRequest request;
  request.pod = id;
  for (const auto& [name, network] : engine_.registry_.networks()) {
    failures.add(network->detach(op, request, {}));
  }
  BERTH_RETURN_IF_ERROR(failures.status());
  op.setStage("release the pod's isolation");
  for (const auto& [name, runtime] : engine_.registry_.runtimes())
    failures.add(runtime->removePod(op, id));
  BERTH_RETURN_IF_ERROR(failures.status());
  const std::string directory = engine_.podDirectory(id);
  BERTH_RETURN_IF_ERROR(support::unmount(strCat(directory, "/shm"), support::UnmountMode::kLazy));
  return support::removeTree(directory);
}

absl::Status Orphans::endContainer(plugins::Operation& op, const std::string& id) {
  // It ran in one of them, or in a pod that has a record while its own was damaged.
  if (const auto ending = pods(); !ending.empty()) {
    return absl::UnavailableError(
        strCat("pod sandbox ", ending.front(), ", whose it may be, has not ended yet"));
  }
  for (const auto& pod : engine_.pods()) {
    if (pod->state() == records::POD_STOPPED) continue;
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                           engine_.runtimeOf(*pod));
    BERTH_RETURN_IF_ERROR(runtime->removeContainer(op, pod->id(), id));
  }
  const std::string directory = engine_.containerDirectory(id);
  op.setStage("release its filesystems");
  BERTH_RETURN_IF_ERROR(unmountAll(strCat(directory, "/mounts")));
  for (const auto& [name, snapshotter] : engine_.registry_.snapshotters()) {
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> keys, snapshotter->list(op));
    for (const std::string& key : keys) {
      if (containerOf(key) != id) continue;
      const std::string target =
          key == id ? strCat(directory, "/rootfs") : strCat(directory, "/images/", key);
      BERTH_RETURN_IF_ERROR(snapshotter->unmount(op, key, target));
      BERTH_RETURN_IF_ERROR(snapshotter->remove(op, key));
    }
  }
  // Of a root that was lost: no snapshotter knows of them.
  BERTH_RETURN_IF_ERROR(unmountAll(strCat(directory, "/images")));
  BERTH_RETURN_IF_ERROR(
      support::unmount(strCat(directory, "/rootfs"), support::UnmountMode::kLazy));
  BERTH_RETURN_IF_ERROR(support::removeTree(directory));
  BERTH_RETURN_IF_ERROR(support::removeTree(engine_.volumesDirectory(id)));
  engine_.images_.collectGarbage();
  return absl::OkStatus();
}

bool Orphans::exists(const std::string& container) const {
  return engine_.findContainer(container).ok() ||
         support::pathExists(engine_.containerDirectory(container));
}

// Listed before the containers are looked at: one that is being made has a record before its
// snapshots and volumes.
absl::Status Orphans::removeSnapshots(plugins::Operation& op, plugins::Snapshotter& snapshotter) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> keys, snapshotter.list(op));
  support::StatusCollector failures;
  for (const std::string& key : keys) {
    const std::string id(containerOf(key));
    if (!isId(id) || exists(id)) continue;
    common::logWarning("a snapshot of an unknown container is removed",
                       {{"snapshotter", snapshotter.name()}, {"snapshot", key}});
    failures.add(snapshotter.remove(op, key));
  }
  return failures.status();
}

absl::Status Orphans::removeVolumes() {
  support::StatusCollector failures;
  for (const std::string& id : idsIn(strCat(engine_.settings_.root, "/volumes"))) {
    if (exists(id)) continue;
    common::logWarning("volumes of an unknown container are removed", {{"container", id}});
    failures.add(support::removeTree(engine_.volumesDirectory(id)));
  }
  return failures.status();
}

}  // namespace berth::engine
