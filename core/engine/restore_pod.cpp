// RestorePod: a pod and its containers from the folder of a checkpoint. Their processes are
// restored by StartContainer.
#include <algorithm>
#include <fcntl.h>
#include <set>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/checkpoint/archive.hpp"
#include "engine/checkpoint/names.hpp"
#include "engine/checkpoint/pod_folder.hpp"
#include "engine/engine.hpp"
#include "engine/names.hpp"
#include "engine/requests.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::Fd;
using support::strCat;

namespace {

absl::Status checkRequest(const v1::RestorePodRequest& request, Deadline deadline) {
  if (deadline == Deadline::max()) {
    return absl::InvalidArgumentError("RestorePod: the call must have a deadline");
  }
  if (!request.options().empty()) {
    return absl::InvalidArgumentError(strCat("RestorePod: the option \"",
                                             request.options().begin()->first,
                                             "\" is not known; there are none"));
  }
  if (!request.checkpoint_path().starts_with('/')) {
    return absl::InvalidArgumentError(
        strCat("RestorePod: checkpoint_path \"", request.checkpoint_path(), "\" must be absolute"));
  }
  if (request.container_configs().empty()) {
    return absl::InvalidArgumentError("RestorePod: container_configs is empty");
  }
  std::set<std::string> names;
  for (const v1::ContainerConfig& config : request.container_configs()) {
    const std::string& name = config.metadata().name();
    if (name.empty()) {
      return absl::InvalidArgumentError("RestorePod: a container's metadata needs a name");
    }
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(strCat("RestorePod: the container ", name, " comes twice"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<checkpoint::PodFolder> readFolder(const Fd& folder, const std::string& path) {
  const Fd file(::openat(folder.get(), std::string(checkpoint::kPodOptions).c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    return absl::InvalidArgumentError(
        strCat(path, " is no checkpoint of a pod: it has no ", checkpoint::kPodOptions));
  }
  BERTH_ASSIGN_OR_RETURN(const std::string text,
                         support::readFile(strCat("/proc/self/fd/", file.get()), 1u << 20));
  auto options = checkpoint::parsePodOptions(text);
  if (!options.ok()) return support::annotate(options.status(), path);
  return options;
}

absl::Status checkNames(const checkpoint::PodFolder& folder, const v1::RestorePodRequest& request) {
  for (const v1::ContainerConfig& config : request.container_configs()) {
    if (folder.containers.contains(config.metadata().name())) continue;
    return absl::InvalidArgumentError(
        strCat("RestorePod: the checkpoint has no container ", config.metadata().name()));
  }
  if (folder.containers.size() == static_cast<size_t>(request.container_configs_size())) {
    return absl::OkStatus();
  }
  for (const auto& [name, path] : folder.containers) {
    const bool wanted =
        std::any_of(request.container_configs().begin(), request.container_configs().end(),
                    [&name = name](const v1::ContainerConfig& config) {
                      return config.metadata().name() == name;
                    });
    if (!wanted) {
      return absl::InvalidArgumentError(
          strCat("RestorePod: container_configs lacks the checkpoint's container ", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::RestorePodResponse> Engine::restorePod(const v1::RestorePodRequest& request,
                                                          Deadline deadline) {
  BERTH_RETURN_IF_ERROR(checkRequest(request, deadline));
  BERTH_RETURN_IF_ERROR(checkPodConfig(request.config()));
  const std::string name = podName(request.config().metadata());
  BERTH_ASSIGN_OR_RETURN(
      const std::string id,
      operations_.runUntil(
          strCat("pod ", name), strCat("RestorePod ", name), endBefore(deadline), deadline,
          [this, request, name](plugins::Operation& op) { return restorePod(op, request, name); }));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(id));
  const bool same = pod->peek([&](const records::PodRecord& r) {
    return r.restored_from() == request.checkpoint_path() && !r.restoring();
  });
  if (!same) {
    return absl::AlreadyExistsError(
        strCat("pod sandbox ", id, " of the name ", name, " exists and is not of this checkpoint"));
  }
  v1::RestorePodResponse response;
  response.set_pod_sandbox_id(id);
  std::shared_lock lock(mapsMutex_);
  for (const v1::ContainerConfig& config : request.container_configs()) {
    const auto found = containerNames_.find(containerName(id, config.metadata()));
    if (found == containerNames_.end()) {
      return absl::NotFoundError(
          strCat("pod sandbox ", id, " has no container ", config.metadata().name(), " any more"));
    }
    v1::RestoredContainer* restored = response.add_restored_containers();
    restored->set_name(config.metadata().name());
    restored->set_container_id(found->second);
  }
  return response;
}

absl::StatusOr<std::string> Engine::restorePod(plugins::Operation& op,
                                               const v1::RestorePodRequest& request,
                                               const std::string& name) {
  {
    std::shared_lock lock(mapsMutex_);
    // A repeated request finds the restored pod.
    if (auto existing = podNames_.find(name); existing != podNames_.end()) return existing->second;
  }
  op.setStage("read the checkpoint");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeFor(request.runtime_handler()));
  BERTH_RETURN_IF_ERROR(runtime->checkCheckpoints(op));
  const std::string& path = request.checkpoint_path();
  BERTH_ASSIGN_OR_RETURN(const Fd folder,
                         support::openFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  BERTH_ASSIGN_OR_RETURN(const checkpoint::PodFolder description, readFolder(folder, path));
  BERTH_RETURN_IF_ERROR(checkNames(description, request));
  v1::RunPodSandboxRequest run;
  *run.mutable_config() = request.config();
  run.set_runtime_handler(request.runtime_handler());
  BERTH_ASSIGN_OR_RETURN(const std::string id, runPod(op, run, name, path));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(id));
  absl::Status status = restoreContainers(op, pod, request);
  if (status.ok()) {
    status = pod->change([](records::PodRecord& r) { r.set_restoring(false); });
  }
  // They could not be told before their pod.
  if (status.ok()) {
    for (const auto& container : containersOf(id)) lifeEvents_.onStep(*container);
  }
  if (!status.ok()) {
    const std::string stage = op.stage();
    discardPod(pod);
    return support::annotate(status, strCat("restore pod sandbox ", name, " (", stage, ")"));
  }
  return id;
}

absl::Status Engine::restoreContainers(plugins::Operation& op, const std::shared_ptr<Pod>& pod,
                                       const v1::RestorePodRequest& request) {
  BERTH_ASSIGN_OR_RETURN(const Fd folder,
                         support::openFile(request.checkpoint_path(), O_RDONLY | O_DIRECTORY));
  BERTH_ASSIGN_OR_RETURN(const checkpoint::PodFolder description,
                         readFolder(folder, request.checkpoint_path()));
  for (const v1::ContainerConfig& config : request.container_configs()) {
    const std::string& container = config.metadata().name();
    op.setStage(strCat("copy the checkpoint of a container: ", container));
    BERTH_ASSIGN_OR_RETURN(auto imported, ImportedCheckpoint::create(checkpointsDirectory()));
    const Fd tree(::openat(folder.get(), description.containers.at(container).c_str(),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!tree) {
      return absl::InvalidArgumentError(
          strCat("the checkpoint lacks the folder of container ", container));
    }
    BERTH_RETURN_IF_ERROR(
        support::annotate(checkpoint::importDirectory(tree, imported->directory(),
                                                      checkpoint::roomIn(imported->directory()),
                                                      [&op] { return op.check(); }),
                          strCat("copy the checkpoint of container ", container)));
    BERTH_RETURN_IF_ERROR(
        support::annotate(imported->read(), strCat("the checkpoint of container ", container)));
    BERTH_ASSIGN_OR_RETURN(ContainerOrigin origin, originFrom(op, *pod, std::move(imported)));
    BERTH_ASSIGN_OR_RETURN(const auto image,
                           podImages_.findToRun(config.image().image(), pod->runtimeName()));
    if (image->id != origin.image->id) {
      return absl::FailedPreconditionError(strCat("container ", container,
                                                  " was checkpointed with the image ",
                                                  origin.image->id, ", not ", image->id));
    }
    // The checkpoint's own name for the image has been judged: here is the one that is asked for.
    BERTH_RETURN_IF_ERROR(images_.checkAccepted(
        op, *image, {config.image().image(), config.image().user_specified_image()}));
    v1::CreateContainerRequest create;
    create.set_pod_sandbox_id(pod->id());
    *create.mutable_config() = config;
    BERTH_RETURN_IF_ERROR(checkContainerRequest(create));
    const std::string name = strCat(pod->id(), "/", container, "/", config.metadata().attempt());
    BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
    BERTH_RETURN_IF_ERROR(createFrom(op, create, name, pod, std::move(origin)).status());
  }
  return absl::OkStatus();
}

}  // namespace berth::engine
