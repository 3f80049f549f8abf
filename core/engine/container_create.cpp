// CreateContainer: from a request to a container that is ready to start.
#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "engine/engine.hpp"
#include "engine/names.hpp"
#include "engine/own_directory.hpp"
#include "engine/relabel.hpp"
#include "engine/requests.hpp"
#include "engine/spec/namespaces.hpp"
#include "engine/spec/process.hpp"
#include "engine/spec/resources.hpp"
#include "engine/spec/security.hpp"
#include "engine/spec/spec.hpp"
#include "engine/spec/stop_signal.hpp"
#include "engine/volume_records.hpp"
#include "engine/volumes/mapped_mounts.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

std::string logPath(const v1::PodSandboxConfig& pod, const v1::ContainerConfig& config) {
  if (config.log_path().empty() || pod.log_directory().empty()) return {};
  return strCat(pod.log_directory(), "/", config.log_path());
}

std::string namespacePath(const records::PodRecord& pod, uint32_t bit) {
  auto found = pod.namespaces().find(bit);
  return found == pod.namespaces().end() ? std::string() : found->second;
}

// Images that are mounted are run from as well. One that is not there is told of later.
absl::Status checkMountedImages(const plugins::Operation& op, images::ImageService& images,
                                const PodImages& podImages, const Pod& pod,
                                const v1::ContainerConfig& config) {
  for (const v1::Mount& mount : config.mounts()) {
    const v1::ImageSpec& wanted = mount.image();
    if (wanted.image().empty()) continue;
    const auto image = podImages.findToRun(wanted.image(), pod.runtimeName());
    if (!image.ok()) continue;
    BERTH_RETURN_IF_ERROR(
        images.checkAccepted(op, **image, {wanted.image(), wanted.user_specified_image()}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status checkContainerRequest(const v1::CreateContainerRequest& request) {
  if (!request.has_config() || request.config().metadata().name().empty()) {
    return absl::InvalidArgumentError("CreateContainer: config.metadata needs a name");
  }
  if (request.config().image().image().empty()) {
    return absl::InvalidArgumentError("CreateContainer: config.image.image is missing");
  }
  for (const std::string_view part : common::split(request.config().log_path(), '/')) {
    if (part != "..") continue;
    return absl::InvalidArgumentError(
        strCat("CreateContainer: log_path ", request.config().log_path(), " must not contain .."));
  }
  for (const v1::Mount& mount : request.config().mounts()) {
    const bool image = !mount.image().image().empty();
    if (image && !mount.host_path().empty()) {
      return absl::InvalidArgumentError(
          strCat("CreateContainer: the mount on ", mount.container_path(), " names both the image ",
                 mount.image().image(), " and the host_path ", mount.host_path()));
    }
    if (!image && !mount.image_sub_path().empty()) {
      return absl::InvalidArgumentError(strCat("CreateContainer: the mount on ",
                                               mount.container_path(),
                                               " has an image_sub_path but no image"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Engine::createContainer(const v1::CreateContainerRequest& request,
                                                    Deadline deadline) {
  BERTH_RETURN_IF_ERROR(checkContainerRequest(request));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(request.pod_sandbox_id()));
  const std::string name = containerName(pod->id(), request.config().metadata());
  return operations_.run(strCat("container ", name), strCat("CreateContainer ", name), deadline,
                         [this, request, name, pod](plugins::Operation& op) {
                           return createContainer(op, request, name, pod);
                         });
}

absl::StatusOr<std::string> Engine::createContainer(plugins::Operation& op,
                                                    const v1::CreateContainerRequest& request,
                                                    const std::string& name,
                                                    const std::shared_ptr<Pod>& pod) {
  {
    std::shared_lock lock(mapsMutex_);
    if (auto existing = containerNames_.find(name); existing != containerNames_.end()) {
      // A repeated request finds the finished container, unless whoever had the answer started it.
      if (containers_.at(existing->second)->state() == v1::CONTAINER_CREATED)
        return existing->second;
      return absl::AlreadyExistsError(
          strCat("container ", existing->second, " of the name ", name, " has been started"));
    }
  }
  // A stop of the pod cancels this and waits for its end, and so finds the container or nothing.
  BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
  if (pod->state() != records::POD_READY || pod->ending()) {
    return absl::FailedPreconditionError(strCat("create container ",
                                                request.config().metadata().name(),
                                                ": pod sandbox ", pod->id(), " is not ready"));
  }
  op.setStage("find the image");
  BERTH_ASSIGN_OR_RETURN(ContainerOrigin origin, findOrigin(op, request.config(), *pod));
  return createFrom(op, request, name, pod, std::move(origin));
}

absl::StatusOr<std::string> Engine::createFrom(plugins::Operation& op,
                                               const v1::CreateContainerRequest& request,
                                               const std::string& name,
                                               const std::shared_ptr<Pod>& pod,
                                               ContainerOrigin origin) {
  BERTH_RETURN_IF_ERROR(checkMountedImages(op, images_, podImages_, *pod, request.config()));
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<Container> container,
                         recordContainer(request, name, pod, origin));
  // The kubelet sends the pod's configuration again; that of RunPodSandbox is what the pod has.
  const v1::PodSandboxConfig podConfig =
      pod->peek([](const records::PodRecord& r) { return r.config(); });
  absl::Status status;
  if (origin.checkpoint != nullptr) {
    status = origin.checkpoint->moveTo(restoreDirectory(container->id()));
  }
  if (status.ok()) status = buildContainer(op, *container, podConfig, origin);
  if (!status.ok()) {
    const std::string stage = op.stage();
    discardContainer(container);
    return support::annotate(status, strCat("create container ", name, " (", stage, ")"));
  }
  return container->id();
}

absl::StatusOr<std::shared_ptr<Container>> Engine::recordContainer(
    const v1::CreateContainerRequest& request, const std::string& name,
    const std::shared_ptr<Pod>& pod, const ContainerOrigin& origin) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(*pod));
  const images::Image& image = *origin.image;
  const v1::ContainerConfig config = origin.configFor(request.config());
  BERTH_ASSIGN_OR_RETURN(const int stopSignal, spec::stopSignal(config, origin.imageConfig));

  records::ContainerRecord record;
  record.set_id(support::randomId());
  record.set_pod_id(pod->id());
  *record.mutable_config() = config;
  record.set_state(v1::CONTAINER_CREATED);
  record.set_creating(true);
  record.set_image_id(image.id);
  record.set_image_ref(image.repoDigests.empty() ? image.id : image.repoDigests.front());
  record.set_snapshotter(podImages_.snapshotter(runtime->name()));
  for (const plugins::Layer& layer : image.layers) {
    records::LayerRecord* kept = record.add_layers();
    kept->set_chain_id(layer.chainId);
    kept->set_parent_chain_id(layer.parentChainId);
    kept->set_diff_id(layer.diffId);
  }
  record.set_created_at(support::nowNanoseconds());
  record.set_log_path(
      logPath(pod->peek([](const records::PodRecord& r) { return r.config(); }), config));
  *record.mutable_resources() = config.linux().resources();
  record.set_stop_signal(stopSignal);
  BERTH_RETURN_IF_ERROR(recordVolumes(origin.imageConfig, record));
  if (origin.checkpoint != nullptr) {
    record.mutable_restore()->set_directory(restoreDirectory(record.id()));
    record.mutable_restore()->set_image_layers(static_cast<uint32_t>(image.layers.size()));
    record.mutable_restore()->set_checkpointed_at(
        origin.checkpoint->tree().description.checkpointedAt);
  }

  auto container = std::make_shared<Container>(std::move(record), pod, store_);
  container->observe(lifeEvents_);
  BERTH_RETURN_IF_ERROR(container->change([](records::ContainerRecord&) {}));
  {
    std::unique_lock lock(mapsMutex_);
    containers_[container->id()] = container;
    containerNames_[name] = container->id();
  }
  return container;
}

absl::Status Engine::buildContainer(plugins::Operation& op, Container& container,
                                    const v1::PodSandboxConfig& podConfig,
                                    const ContainerOrigin& origin) {
  BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, container));
  const std::string directory = containerDirectory(container.id());
  op.setStage("make directories");
  BERTH_RETURN_IF_ERROR(makeOwnDirectory(directory, container.pod()));
  for (const char* const part : {"/bundle", "/rootfs"})
    BERTH_RETURN_IF_ERROR(support::makeDirectories(strCat(directory, part), 0711));
  op.setStage("prepare the root filesystem");
  BERTH_RETURN_IF_ERROR(images_.ensureUnpacked(
      op, *origin.image,
      container.peek([](const records::ContainerRecord& r) { return r.snapshotter(); }), nullptr));
  BERTH_RETURN_IF_ERROR(addRestoredLayer(op, container));
  BERTH_RETURN_IF_ERROR(mountRootfs(op, container));
  BERTH_ASSIGN_OR_RETURN(const Volumes volumes, prepareVolumes(op, container, origin.imageConfig));
  op.setStage("look at what it mounts, and make the runtime specification");
  BERTH_ASSIGN_OR_RETURN(const spec::ContainerSpec spec,
                         makeSpec(container, podConfig, origin.imageConfig, volumes));
  spec::logWarnings(spec.warnings, {"container", container.id()});
  BERTH_RETURN_IF_ERROR(checkRestorable(container, spec.spec));
  if (!spec.missingDirectories.empty()) op.setStage("make the directories that it mounts");
  for (const std::string& path : spec.missingDirectories) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(path));
  }
  if (!spec.relabels.empty()) op.setStage("label the volumes for SELinux");
  for (const spec::Relabel& volume : spec.relabels) {
    BERTH_RETURN_IF_ERROR(
        relabel(volume.path, {.label = volume.label, .check = [&op] { return op.check(); }}));
  }
  const boost::json::value* process = spec.spec.if_contains("process");
  BERTH_RETURN_IF_ERROR(container.change([&](records::ContainerRecord& r) {
    *r.mutable_user() = spec.user;
    for (const spec::MappedMount& mount : spec.mappedMounts)
      *r.add_mapped_mounts() = mappedMountRecord(mount);
    if (process != nullptr) r.set_process(boost::json::serialize(*process));
  }));

  BERTH_RETURN_IF_ERROR(
      volumes::checkMappedMounts(spec.mappedMounts, knownNamespace(container.pod().record())));

  op.setStage("hand the container to the runtime");
  const records::ContainerRecord record = container.record();
  plugins::ContainerSpec handed;
  handed.pod = record.pod_id();
  handed.id = record.id();
  handed.name = record.config().metadata().name();
  handed.attempt = record.config().metadata().attempt();
  handed.directory = strCat(directory, "/bundle");
  handed.rootfs = strCat(directory, "/rootfs");
  handed.spec = boost::json::serialize(spec.spec);
  handed.logPath = record.log_path();
  if (record.config().tty()) handed.flags |= BERTH_CONTAINER_TERMINAL;
  if (record.config().stdin()) handed.flags |= BERTH_CONTAINER_STDIN;
  if (record.config().stdin_once()) handed.flags |= BERTH_CONTAINER_STDIN_ONCE;
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  BERTH_RETURN_IF_ERROR(runtime->createContainer(op, handed));
  BERTH_RETURN_IF_ERROR(op.check());
  return container.change([](records::ContainerRecord& r) { r.set_creating(false); });
}

absl::Status Engine::mountRootfs(plugins::Operation& op, Container& container) {
  const records::ContainerRecord record = container.record();
  BERTH_ASSIGN_OR_RETURN(std::string label, mountLabel(container.pod().record(), record.config()));
  return mountSnapshot(op, container,
                       {.key = record.id(),
                        .layers = record.layers(),
                        .target = strCat(containerDirectory(record.id()), "/rootfs"),
                        .selinuxLabel = std::move(label)});
}

absl::Status Engine::mountSnapshot(plugins::Operation& op, Container& container,
                                   const SnapshotRequest& request) {
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(container.peek(
                             [](const records::ContainerRecord& r) { return r.snapshotter(); })));
  plugins::SnapshotSpec spec;
  spec.key = request.key;
  spec.readOnly = request.readOnly;
  spec.selinuxLabel = request.selinuxLabel;
  for (const records::LayerRecord& layer : request.layers) {
    spec.layers.push_back({layer.chain_id(), layer.parent_chain_id(), layer.diff_id()});
  }
  BERTH_ASSIGN_OR_RETURN(const spec::PodNamespaces namespaces,
                         spec::podNamespaces(container.pod().peek(
                             [](const records::PodRecord& r) { return r.config(); })));
  if (namespaces.user) {
    if (!snapshotter->mapsIds()) {
      return absl::FailedPreconditionError(
          strCat("the snapshotter \"", snapshotter->name(),
                 "\" cannot map ids on this host, which a pod with a user namespace needs"));
    }
    for (const v1::IDMapping& one : namespaces.uids) {
      spec.uidMappings.push_back({one.container_id(), one.host_id(), one.length()});
    }
    for (const v1::IDMapping& one : namespaces.gids) {
      spec.gidMappings.push_back({one.container_id(), one.host_id(), one.length()});
    }
  }
  BERTH_RETURN_IF_ERROR(snapshotter->prepare(op, spec));
  return snapshotter->mount(op, request.key, request.target);
}

absl::StatusOr<spec::NamespacePaths> Engine::namespacePaths(const records::PodRecord& pod,
                                                            const v1::ContainerConfig& config) {
  spec::NamespacePaths paths;
  paths.network = namespacePath(pod, BERTH_NAMESPACE_NETWORK);
  paths.ipc = namespacePath(pod, BERTH_NAMESPACE_IPC);
  paths.uts = namespacePath(pod, BERTH_NAMESPACE_UTS);
  paths.pid = namespacePath(pod, BERTH_NAMESPACE_PID);
  paths.user = namespacePath(pod, BERTH_NAMESPACE_USER);
  const v1::NamespaceOption& options = config.linux().security_context().namespace_options();
  if (options.pid() != v1::TARGET) return paths;
  BERTH_ASSIGN_OR_RETURN(const int64_t pid, targetProcess(pod.id(), options.target_id()));
  paths.targetPid = strCat("/proc/", pid, "/ns/pid");
  return paths;
}

absl::StatusOr<spec::ContainerSpec> Engine::makeSpec(Container& container,
                                                     const v1::PodSandboxConfig& podConfig,
                                                     const ImageConfig& image,
                                                     const Volumes& volumes) {
  const records::ContainerRecord record = container.record();
  const records::PodRecord pod = container.pod().record();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  const spec::RuntimeFeatures features = spec::runtimeFeatures(runtime->features());
  spec::Defaults defaults = defaultsFor(runtime->name());
  // The guest's own are in its /dev; it has no drivers for the host's.
  if (features.isolation == spec::Isolation::kVirtualMachine) {
    defaults.privilegedDevices = spec::PrivilegedDevices::kNone;
  }
  const std::string podFiles = podDirectory(pod.id());
  BERTH_ASSIGN_OR_RETURN(const spec::NamespacePaths paths, namespacePaths(pod, record.config()));
  BERTH_ASSIGN_OR_RETURN(const spec::SeLinuxLabels labels, labelsOf(pod));
  const spec::ContainerSpecInput input{
      .pod = podConfig,
      .config = volumes.config,
      .image = image,
      .host = host_,
      .defaults = defaults,
      .features = features,
      .podId = pod.id(),
      .containerId = record.id(),
      .imageName = record.config().image().user_specified_image().empty()
                       ? record.config().image().image()
                       : record.config().image().user_specified_image(),
      .rootfsPath = strCat(containerDirectory(record.id()), "/rootfs"),
      .logPath = record.log_path(),
      .namespaces = paths,
      .files = {.hosts = strCat(podFiles, "/hosts"),
                .hostname = strCat(podFiles, "/hostname"),
                .resolvConf = strCat(podFiles, "/resolv.conf"),
                .shm = pod.shm_mounted() ? strCat(podFiles, "/shm") : ""},
      .cgroupDriver = settings_.cgroupDriver,
      .isolation = features.isolation,
      .podLabels = labels,
      .mappedMounts = strCat(containerDirectory(record.id()), "/mounts"),
      .ownDirectories = {settings_.root, settings_.state},
      .cdi = &cdi_,
      .hooks = &hooks_,
      .extraMounts = volumes.extra};
  return spec::buildContainerSpec(input);
}

}  // namespace berth::engine
