// What a container's mounts need on the host: images mounted for it, the volumes that its own image
// declares, sources with mapped ids. Each is named in the container's record before it is made.
#include <fcntl.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/usage.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/own_directory.hpp"
#include "engine/spec/namespaces.hpp"
#include "engine/spec/security.hpp"
#include "engine/spec/users.hpp"
#include "engine/volume_records.hpp"
#include "engine/volumes/mapped_mounts.hpp"
#include "engine/volumes/sub_path.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;
using volumes::ImageDefinedVolumes;

namespace {

// What the kubelet and its users look for in a message (cri-api, pkg/errors).
constexpr std::string_view kImageMountFailed = "ImageVolumeMountFailed";

bool isImageMount(const v1::Mount& mount) {
  return !mount.image().image().empty();
}

// The target of an image mount is named after its snapshot.
std::string imageTarget(const std::string& directory, const records::ImageMountRecord& mount) {
  return strCat(directory, "/images/", mount.snapshot());
}

// Who owns what an image's volume does not say: the container's user, as seen from the host.
absl::StatusOr<volumes::Owner> volumeOwner(const v1::ContainerConfig& config,
                                           const ImageConfig& image, const std::string& rootfs,
                                           const records::PodRecord& pod) {
  BERTH_ASSIGN_OR_RETURN(const spec::UserDatabase database, spec::UserDatabase::open(rootfs));
  BERTH_ASSIGN_OR_RETURN(
      const spec::ResolvedUser user,
      spec::resolveUser(config.linux().security_context(), image.user, database));
  const volumes::KnownNamespace known = knownNamespace(pod);
  return volumes::Owner{support::outsideId(known.uids, user.uid),
                        support::outsideId(known.gids, user.gid)};
}

}  // namespace

absl::Status Engine::recordVolumes(const ImageConfig& image, records::ContainerRecord& record) {
  for (const v1::Mount& mount : record.config().mounts()) {
    if (!isImageMount(mount)) continue;
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(record.pod_id()));
    const auto found = podImages_.findToRun(mount.image().image(), pod->runtimeName());
    if (!found.ok()) {
      return support::annotate(found.status(),
                               strCat(kImageMountFailed, ": mount on ", mount.container_path()));
    }
    const int number = record.image_mounts_size();
    records::ImageMountRecord* kept = record.add_image_mounts();
    kept->set_container_path(mount.container_path());
    kept->set_image_id((*found)->id);
    kept->set_image_ref((*found)->repoDigests.empty() ? (*found)->id
                                                      : (*found)->repoDigests.front());
    kept->set_snapshot(strCat(record.id(), "-image-", number));
    for (const plugins::Layer& layer : (*found)->layers) {
      records::LayerRecord* one = kept->add_layers();
      one->set_chain_id(layer.chainId);
      one->set_parent_chain_id(layer.parentChainId);
      one->set_diff_id(layer.diffId);
    }
  }
  if (settings_.imageDefinedVolumes == ImageDefinedVolumes::kIgnore) return absl::OkStatus();
  for (const std::string& path : volumes::definedVolumes(image, record.config())) {
    record.add_volume_paths(path);
  }
  return absl::OkStatus();
}

absl::StatusOr<Volumes> Engine::prepareVolumes(plugins::Operation& op, Container& container,
                                               const ImageConfig& image) {
  const records::ContainerRecord record = container.record();
  Volumes volumes{.config = record.config(), .extra = {}};
  if (record.image_mounts_size() > 0) {
    op.setStage("mount images");
    BERTH_ASSIGN_OR_RETURN(const std::string label,
                           mountLabel(container.pod().record(), record.config()));
    int number = 0;
    for (v1::Mount& mount : *volumes.config.mutable_mounts()) {
      if (!isImageMount(mount)) continue;
      auto path =
          mountImage(op, container, record.image_mounts(number++), mount.image_sub_path(), label);
      if (!path.ok()) {
        return support::annotate(
            path.status(), strCat(kImageMountFailed, ": image ", mount.image().image(), " on ",
                                  mount.container_path()));
      }
      mount.set_host_path(*path);
    }
  }
  if (record.volume_paths_size() > 0) {
    op.setStage("make the image's volumes");
    BERTH_RETURN_IF_ERROR(makeDefinedVolumes(op, container, image, volumes));
  }
  return volumes;
}

absl::StatusOr<std::string> Engine::mountImage(plugins::Operation& op, Container& container,
                                               const records::ImageMountRecord& record,
                                               const std::string& subPath,
                                               const std::string& selinuxLabel) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<const images::Image> image,
                         images_.find(record.image_id()));
  BERTH_RETURN_IF_ERROR(images_.ensureUnpacked(
      op, *image, container.peek([](const records::ContainerRecord& r) { return r.snapshotter(); }),
      nullptr));
  const std::string target = imageTarget(containerDirectory(container.id()), record);
  BERTH_RETURN_IF_ERROR(support::makeDirectories(target, 0711));
  BERTH_RETURN_IF_ERROR(mountSnapshot(op, container,
                                      {.key = record.snapshot(),
                                       .layers = record.layers(),
                                       .target = target,
                                       .readOnly = true,
                                       .selinuxLabel = selinuxLabel}));
  return subPath.empty() ? target : volumes::resolveSubPath(target, subPath);
}

absl::Status Engine::makeDefinedVolumes(plugins::Operation& op, Container& container,
                                        const ImageConfig& image, Volumes& volumes) {
  const records::ContainerRecord record = container.record();
  const std::string rootfs = strCat(containerDirectory(record.id()), "/rootfs");
  BERTH_ASSIGN_OR_RETURN(const volumes::Owner owner,
                         volumeOwner(record.config(), image, rootfs, container.pod().record()));
  const bool bind = settings_.imageDefinedVolumes == ImageDefinedVolumes::kBind;
  const std::string directory = volumesDirectory(record.id());
  if (bind) BERTH_RETURN_IF_ERROR(makeOwnDirectory(directory, container.pod()));
  for (int i = 0; i < record.volume_paths_size(); ++i) {
    const std::string& path = record.volume_paths(i);
    const std::string source = strCat(directory, "/", i);
    BERTH_ASSIGN_OR_RETURN(const bool made, bind ? volumes::makeVolume(rootfs, path, source, owner,
                                                                       [&op] { return op.check(); })
                                                 : volumes::makeInRootfs(rootfs, path, owner));
    if (!made) {
      common::logWarning("the image has no directory where it declares a volume; it gets none",
                         {{"container", record.id()}, {"path", path}});
      continue;
    }
    if (!bind) continue;
    v1::Mount& mount = volumes.extra.emplace_back();
    mount.set_container_path(path);
    mount.set_host_path(source);
    mount.set_selinux_relabel(true);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Engine::mountLabel(const records::PodRecord& pod,
                                               const v1::ContainerConfig& config) const {
  if (!host_.seLinux) return std::string();
  BERTH_ASSIGN_OR_RETURN(const spec::SeLinuxLabels podLabels, labelsOf(pod));
  BERTH_ASSIGN_OR_RETURN(
      const spec::SeLinuxLabels labels,
      spec::containerSeLinuxLabels(config.linux().security_context().selinux_options(), podLabels,
                                   host_, spec::confinementOf(pod.config(), config)));
  return labels.mount;
}

absl::Status Engine::attachMappedMounts(Container& container) {
  const records::ContainerRecord record = container.record();
  if (record.mapped_mounts().empty()) return absl::OkStatus();
  return volumes::attachMappedMounts(mappedMounts(record),
                                     knownNamespace(container.pod().record()));
}

void Engine::detachMappedMounts(Container& container) {
  const absl::Status detached = volumes::detachMappedMounts(mappedMounts(container.record()));
  if (detached.ok()) return;
  common::logWarning("mapped mounts of a container stay until it is removed",
                     {{"container", container.id()}, {"error", detached.ToString()}});
}

// Runs every step; what failed is done again by the next call.
absl::Status Engine::releaseVolumes(plugins::Operation& op,
                                    const records::ContainerRecord& record) {
  support::StatusCollector failures;
  failures.add(volumes::detachMappedMounts(mappedMounts(record)));
  if (record.image_mounts_size() > 0) {
    BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                           registry_.snapshotter(record.snapshotter()));
    const std::string directory = containerDirectory(record.id());
    for (const records::ImageMountRecord& mount : record.image_mounts()) {
      const absl::Status unmounted =
          snapshotter->unmount(op, mount.snapshot(), imageTarget(directory, mount));
      failures.add(unmounted.ok() ? snapshotter->remove(op, mount.snapshot()) : unmounted);
    }
  }
  if (record.volume_paths_size() > 0) {
    failures.add(support::removeTree(volumesDirectory(record.id())));
  }
  return failures.status();
}

absl::StatusOr<plugins::Usage> Engine::writableUsage(const plugins::Operation& op,
                                                     const records::ContainerRecord& record) {
  BERTH_ASSIGN_OR_RETURN(plugins::Snapshotter * snapshotter,
                         registry_.snapshotter(record.snapshotter()));
  BERTH_ASSIGN_OR_RETURN(plugins::Usage usage, snapshotter->usage(op, record.id()));
  if (record.volume_paths().empty()) return usage;
  auto directory = support::openFile(volumesDirectory(record.id()), O_RDONLY | O_DIRECTORY);
  if (absl::IsNotFound(directory.status())) return usage;
  BERTH_RETURN_IF_ERROR(directory.status());
  BERTH_ASSIGN_OR_RETURN(const untar::DiskUsage volumes, untar::measureTree(directory->get()));
  usage.bytes += volumes.bytes;
  usage.inodes += volumes.inodes;
  return usage;
}

}  // namespace berth::engine
