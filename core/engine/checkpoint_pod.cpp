// CheckpointPod: the state of several containers at one moment, in a folder of the caller.
//
// The folder gets one folder for each container, named by number because names of containers are
// anybody's, and two files about the pod. Until all of it is whole it stands in a folder of its
// own.
#include <set>

#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "engine/checkpoint/names.hpp"
#include "engine/checkpoint/pod_folder.hpp"
#include "engine/engine.hpp"
#include "engine/message_json.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

absl::Status checkFolder(const std::string& folder) {
  if (!folder.starts_with('/')) {
    return absl::InvalidArgumentError(
        strCat("CheckpointPod: output_path \"", folder, "\" must be absolute"));
  }
  const auto names = support::listDirectory(folder);
  if (!names.ok()) {
    return absl::InvalidArgumentError(
        strCat("CheckpointPod: output_path ", folder,
               " is no folder: ", support::fromAbsl(names.status().message())));
  }
  if (names->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat("CheckpointPod: output_path ", folder, " must be empty; it has ", names->front()));
}

}  // namespace

absl::Status Engine::checkpointPod(const v1::CheckpointPodRequest& request, Deadline deadline) {
  if (deadline == Deadline::max()) {
    return absl::InvalidArgumentError("CheckpointPod: the call must have a deadline");
  }
  if (!request.options().empty()) {
    return absl::InvalidArgumentError(strCat("CheckpointPod: the option \"",
                                             request.options().begin()->first,
                                             "\" is not known; there are none"));
  }
  if (request.container_ids().empty()) {
    return absl::InvalidArgumentError("CheckpointPod: container_ids is empty");
  }
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                         findReady(request.pod_sandbox_id(), "checkpoint"));
  // In the order of their ids, so that nobody waits in a circle.
  std::map<std::string, std::shared_ptr<Container>> selected;
  std::set<std::string> names;
  for (const std::string& id : request.container_ids()) {
    BERTH_ASSIGN_OR_RETURN(std::shared_ptr<Container> container, findRunning(id, "checkpoint"));
    if (container->pod().id() != pod->id()) {
      return absl::InvalidArgumentError(
          strCat("CheckpointPod: container ", id, " is not in pod sandbox ", pod->id()));
    }
    names.insert(container->peek(
        [](const records::ContainerRecord& r) { return r.config().metadata().name(); }));
    if (!selected.emplace(container->id(), container).second || names.size() != selected.size()) {
      return absl::InvalidArgumentError(strCat("CheckpointPod: container ", id, " comes twice"));
    }
  }
  Containers containers;
  for (const auto& [id, container] : selected) containers.push_back(container);
  return operations_
      .runUntil(
          strCat("checkpoint pod ", pod->id(), " ", request.output_path()),
          strCat("CheckpointPod ", pod->id()), endBefore(deadline), deadline,
          [this, pod, containers,
           folder = request.output_path()](plugins::Operation& op) -> absl::StatusOr<std::string> {
            BERTH_RETURN_IF_ERROR(support::annotate(checkpointToFolder(op, containers, folder),
                                                    strCat("checkpoint pod sandbox ", pod->id())));
            return folder;
          })
      .status();
}

absl::Status Engine::checkpointToFolder(plugins::Operation& op, const Containers& containers,
                                        const std::string& folder) {
  const Pod& pod = containers.front()->pod();
  BERTH_RETURN_IF_ERROR(checkFolder(folder));
  BERTH_RETURN_IF_ERROR(checkCheckpoints(op, pod));
  std::vector<Turn> turns;
  for (const auto& container : containers) {
    BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
    turns.push_back(std::move(turn));
  }
  BERTH_RETURN_IF_ERROR(support::makeDirectories(checkpointsDirectory(), 0700));
  checkpoint::PodOutput output(folder,
                               strCat(checkpointsDirectory(), "/pod-", support::randomId()));
  BERTH_ASSIGN_OR_RETURN(const std::string partial, output.begin());
  BERTH_RETURN_IF_ERROR(capturePod(op, pod, containers, partial));
  BERTH_RETURN_IF_ERROR(op.check());
  op.setStage("make the checkpoint durable");
  return output.commit();
}

absl::Status Engine::capturePod(plugins::Operation& op, const Pod& pod,
                                const Containers& containers, const std::string& folder) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
  checkpoint::PodFolder description{.format = runtime->checkpointFormat()};
  std::vector<checkpoint::LogCopy> logs;
  const auto captureAll = [&]() -> absl::Status {
    for (size_t i = 0; i < containers.size(); ++i) {
      const std::string place = strCat("container-", i);
      auto log = capture(op, *containers[i], strCat(folder, "/", place));
      BERTH_RETURN_IF_ERROR(
          support::annotate(log.status(), strCat("container ", containers[i]->id())));
      logs.push_back(*std::move(log));
      description.containers[containers[i]->peek(
          [](const records::ContainerRecord& r) { return r.config().metadata().name(); })] = place;
    }
    return absl::OkStatus();
  };
  BERTH_RETURN_IF_ERROR(whilePaused(op, containers, captureAll));
  op.setStage("copy the containers' logs");
  for (size_t i = 0; i < logs.size(); ++i) {
    BERTH_RETURN_IF_ERROR(
        support::annotate(logs[i].writeTo(strCat(folder, "/container-", i, "/", checkpoint::kLog),
                                          [&op] { return op.check(); }),
                          strCat("container ", containers[i]->id())));
  }
  op.setStage("write the pod's description");
  BERTH_RETURN_IF_ERROR(support::replaceFile(strCat(folder, "/", checkpoint::kPodDump),
                                             boost::json::serialize(toJson(pod.record().config())),
                                             0600, support::Durability::kVisible));
  return support::replaceFile(strCat(folder, "/", checkpoint::kPodOptions), podOptions(description),
                              0600, support::Durability::kVisible);
}

}  // namespace berth::engine
