// Containers that are made from a checkpoint: CreateContainer with an archive, or with an image
// that is a checkpoint, in place of an image.
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/checkpoint/archive.hpp"
#include "engine/checkpoint/changes.hpp"
#include "engine/checkpoint/mounts.hpp"
#include "engine/checkpoint/names.hpp"
#include "engine/engine.hpp"
#include "images/digest.hpp"
#include "images/manifest.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::Fd;
using support::strCat;

namespace {

constexpr std::chrono::seconds kUndoTime{60};

absl::StatusOr<Fd> openArchive(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(Fd file, support::openFile(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return support::errnoStatus(errno, strCat("stat ", path));
  if (S_ISREG(info.st_mode)) return file;
  return absl::InvalidArgumentError(
      strCat(path, " is no checkpoint archive: it is no regular file"));
}

// Whether `reference` (an id with or without its algorithm, or a name with a digest) means `image`.
bool isSame(const images::Image& image, std::string_view reference) {
  if (reference == image.id || strCat("sha256:", reference) == image.id) return true;
  return std::find(image.repoDigests.begin(), image.repoDigests.end(), reference) !=
         image.repoDigests.end();
}

bool canBePulled(std::string_view reference) {
  return reference.find('@') != std::string_view::npos;
}

}  // namespace

absl::StatusOr<ContainerOrigin> Engine::findOrigin(plugins::Operation& op,
                                                   const v1::ContainerConfig& config,
                                                   const Pod& pod) {
  const std::string& reference = config.image().image();
  const auto check = [&op] { return op.check(); };
  ContainerOrigin origin;
  std::unique_ptr<ImportedCheckpoint> imported;
  if (reference.starts_with('/')) {
    BERTH_RETURN_IF_ERROR(checkCheckpoints(op, pod));
    BERTH_ASSIGN_OR_RETURN(const Fd archive, openArchive(reference));
    op.setStage("unpack the checkpoint");
    BERTH_ASSIGN_OR_RETURN(imported, ImportedCheckpoint::create(checkpointsDirectory()));
    BERTH_RETURN_IF_ERROR(support::annotate(
        checkpoint::importArchive(archive, imported->directory(),
                                  checkpoint::roomIn(imported->directory()), check),
        strCat("unpack the checkpoint ", reference)));
  } else {
    BERTH_ASSIGN_OR_RETURN(origin.image, podImages_.findToRun(reference, pod.runtimeName()));
    op.setStage("check the image's signatures");
    BERTH_RETURN_IF_ERROR(images_.checkAccepted(
        op, *origin.image, {reference, config.image().user_specified_image()}));
    if (!origin.image->isCheckpoint) {
      BERTH_ASSIGN_OR_RETURN(origin.imageConfig, images_.config(*origin.image));
      return origin;
    }
    BERTH_RETURN_IF_ERROR(checkCheckpoints(op, pod));
    op.setStage("copy the checkpoint out of its image");
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
    BERTH_ASSIGN_OR_RETURN(imported, ImportedCheckpoint::create(checkpointsDirectory()));
    BERTH_RETURN_IF_ERROR(support::annotate(
        importImage(op, *origin.image, podImages_.snapshotter(runtime->name()), *imported),
        strCat("copy the checkpoint out of image ", reference)));
  }
  BERTH_RETURN_IF_ERROR(
      support::annotate(imported->read(), strCat("read the checkpoint ", reference)));
  return originFrom(op, pod, std::move(imported));
}

absl::StatusOr<ContainerOrigin> Engine::originFrom(plugins::Operation& op, const Pod& pod,
                                                   std::unique_ptr<ImportedCheckpoint> checkpoint) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
  const checkpoint::Description& description = checkpoint->tree().description;
  if (description.format != runtime->checkpointFormat()) {
    return absl::FailedPreconditionError(
        strCat("the checkpoint has the form \"", description.format, "\"; the runtime \"",
               runtime->name(), "\" restores \"", runtime->checkpointFormat(), "\""));
  }
  ContainerOrigin origin;
  BERTH_ASSIGN_OR_RETURN(origin.image, baseImage(op, description, pod));
  BERTH_RETURN_IF_ERROR(images_.checkAccepted(op, *origin.image, {description.imageName}));
  BERTH_ASSIGN_OR_RETURN(origin.imageConfig, images_.config(*origin.image));
  origin.checkpoint = std::move(checkpoint);
  return origin;
}

// The image that the container was made from: the same content, by whatever name.
absl::StatusOr<std::shared_ptr<const images::Image>> Engine::baseImage(
    plugins::Operation& op, const checkpoint::Description& description, const Pod& pod) {
  const std::string& reference = description.imageRef;
  if (!reference.empty()) {
    auto known = podImages_.findToRun(reference, pod.runtimeName());
    if (known.ok() || !absl::IsNotFound(known.status())) return known;
  }
  const std::string& name = canBePulled(reference) ? reference : description.imageName;
  auto image = podImages_.findToRun(name, pod.runtimeName());
  if (absl::IsNotFound(image.status())) {
    op.setStage(strCat("pull the checkpointed container's image: ", name));
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
    image = images_.pull(op, name, nullptr, podImages_.target(runtime->name()), nullptr);
  }
  if (!image.ok()) {
    return support::annotate(image.status(), "find the image of the checkpointed container");
  }
  if (reference.empty() || isSame(**image, reference)) return image;
  return absl::FailedPreconditionError(strCat("the checkpointed container's image ", reference,
                                              " is not here, and ", name,
                                              " is another one by now (", (*image)->id, ")"));
}

absl::Status Engine::importImage(plugins::Operation& op, const images::Image& image,
                                 const std::string& snapshotterName,
                                 const ImportedCheckpoint& checkpoint) {
  BERTH_RETURN_IF_ERROR(images_.ensureUnpacked(op, image, snapshotterName, nullptr));
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(snapshotterName));
  // Recovery finds both by the folder's name.
  const std::string key = checkpoint.directory().substr(checkpoint.directory().rfind('/') + 1);
  const std::string target = strCat(checkpoint.directory(), "/mounted");
  const auto copy = [&]() -> absl::Status {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(target, 0700));
    BERTH_RETURN_IF_ERROR(
        snapshotter->prepare(op, {.key = key, .layers = image.layers, .readOnly = true}));
    BERTH_RETURN_IF_ERROR(snapshotter->mount(op, key, target));
    BERTH_ASSIGN_OR_RETURN(const Fd from, support::openFile(target, O_RDONLY | O_DIRECTORY));
    return checkpoint::importDirectory(from, checkpoint.directory(),
                                       checkpoint::roomIn(checkpoint.directory()),
                                       [&op] { return op.check(); });
  };
  support::StatusCollector failures;
  failures.add(copy());
  plugins::Operation undo("release a checkpoint's image", Deadline::clock::now() + kUndoTime);
  const absl::Status unmounted = snapshotter->unmount(undo, key, target);
  failures.add(unmounted);
  if (unmounted.ok()) {
    failures.add(snapshotter->remove(undo, key));
    failures.add(support::removePath(target));
  }
  return failures.status();
}

absl::Status Engine::addRestoredLayer(plugins::Operation& op, Container& container) {
  const records::ContainerRecord record = container.record();
  if (!record.has_restore()) return absl::OkStatus();
  op.setStage("restore what the container had changed in its root filesystem");
  BERTH_ASSIGN_OR_RETURN(const checkpoint::RestoredLayer restored,
                         checkpoint::joinLayer(record.restore().directory(), record.id(),
                                               [&op] { return op.check(); }));
  if (restored.diffId.empty()) return absl::OkStatus();
  plugins::Layer layer{.diffId = restored.diffId};
  if (record.layers_size() == 0) {
    layer.chainId = layer.diffId;
  } else {
    layer.parentChainId = record.layers(record.layers_size() - 1).chain_id();
    layer.chainId = images::sha256(strCat(layer.parentChainId, " ", layer.diffId));
  }
  BERTH_RETURN_IF_ERROR(container.change([&](records::ContainerRecord& r) {
    records::LayerRecord* kept = r.add_layers();
    kept->set_chain_id(layer.chainId);
    kept->set_parent_chain_id(layer.parentChainId);
    kept->set_diff_id(layer.diffId);
  }));
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(record.snapshotter()));
  BERTH_ASSIGN_OR_RETURN(const Fd file, support::openFile(restored.file, O_RDONLY));
  std::string buffer(1u << 20, '\0');
  const auto next = [&]() -> absl::StatusOr<std::string_view> {
    for (;;) {
      const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
      if (count >= 0) return std::string_view(buffer.data(), static_cast<size_t>(count));
      if (errno != EINTR) return support::errnoStatus(errno, strCat("read ", restored.file));
    }
  };
  BERTH_RETURN_IF_ERROR(support::annotate(snapshotter->applyLayer(op, layer, next).status(),
                                          strCat("the checkpoint's ", checkpoint::kRootfsDiff)));
  return support::removePath(restored.file);
}

absl::Status Engine::checkRestorable(const Container& container,
                                     const boost::json::object& spec) const {
  const records::ContainerRecord record = container.record();
  if (!record.has_restore()) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const checkpoint::Tree tree,
                         checkpoint::readTree(record.restore().directory()));
  std::vector<std::string> mounts;
  for (const v1::Mount& mount : record.config().mounts()) mounts.push_back(mount.container_path());
  BERTH_RETURN_IF_ERROR(checkpoint::checkFits(tree.spec, spec, mounts));
  if (!container.pod().peek([](const records::PodRecord& r) { return r.restoring(); })) {
    return absl::OkStatus();
  }
  std::vector<std::string> variables;
  for (const v1::KeyValue& variable : record.config().envs()) {
    variables.push_back(strCat(variable.key(), "=", variable.value()));
  }
  return checkpoint::checkSameProcess(tree.spec, spec, variables);
}

absl::StatusOr<plugins::ContainerStatus> Engine::restoreInRuntime(plugins::Operation& op,
                                                                  Container& container) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  op.setStage("restore the container");
  const std::string directory =
      container.peek([](const records::ContainerRecord& r) { return r.restore().directory(); });
  auto restored =
      runtime->restoreContainer(op, {.pod = container.pod().id(),
                                     .container = container.id(),
                                     .image = strCat(directory, "/", checkpoint::kImageFolder),
                                     .work = directory});
  if (!restored.ok()) return restored;
  // It has what it needs. What cannot be removed now goes with the container.
  if (support::removeTree(directory).ok()) {
    container.change([](records::ContainerRecord& r) { r.mutable_restore()->set_done(true); })
        .IgnoreError();
  }
  return restored;
}

absl::Status Engine::releaseRestore(plugins::Operation& op,
                                    const records::ContainerRecord& record) {
  if (!record.has_restore()) return absl::OkStatus();
  support::StatusCollector failures;
  failures.add(support::removeTree(record.restore().directory()));
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(record.snapshotter()));
  for (int i = static_cast<int>(record.restore().image_layers()); i < record.layers_size(); ++i) {
    const records::LayerRecord& layer = record.layers(i);
    failures.add(
        snapshotter->removeLayer(op, {layer.chain_id(), layer.parent_chain_id(), layer.diff_id()}));
  }
  return failures.status();
}

}  // namespace berth::engine
