// The images of this node: pulled, unpacked, found, removed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "common/image_config.hpp"
#include "images/image.hpp"
#include "images/pull_progress.hpp"
#include "images/storage.hpp"
#include "plugins/operation.hpp"
#include "plugins/registry.hpp"
#include "store/store.hpp"

namespace berth::signatures {
class Policy;
}

namespace berth::images {

class ShortNames;

struct Options {
  std::vector<std::string> sources;  // instances, in the order they are asked
  std::string snapshotter;           // instance that images are unpacked for by default
  std::string platform;              // "linux/arm64/v8"; empty: the host's
  unsigned concurrentDownloads = 6;
  unsigned concurrentUnpacks = 0;        // 0: number of CPUs
  uint64_t maxLayerBytes = 64ull << 30;  // uncompressed, a bound against bombs
  uint64_t writeBytesPerSecond = 0;      // of layers, uncompressed; 0: no limit
  // With another registry that a layer is fetched from, before this image's own is asked too.
  std::chrono::milliseconds patience{std::chrono::seconds(10)};
  uint64_t maxManifestBytes = 4u << 20;
  std::shared_ptr<const signatures::Policy> policy;  // null: every image is accepted
  std::shared_ptr<const ShortNames> shortNames;      // null: they mean docker.io
};

// What there is of an image beyond its layers, as it was fetched.
struct ImageContent {
  std::string manifest;
  std::string config;                       // OCI image specification, "Image Configuration"
  std::vector<plugins::Descriptor> layers;  // lowest first
  std::string source;                       // instance that it came from
};

// What an image is brought here for.
struct PullTarget {
  std::string snapshotter;  // that its layers are unpacked for; empty: the default
  std::string platform;     // "linux/arm64/v8": which image of an index; empty: that of Options
};

struct ImportRequest {
  std::string path;                // absolute, of a folder or an archive
  std::vector<std::string> names;  // of the images that are wanted; empty: all that have one
  PullTarget target;
};
// Called for each image that has been taken in, with the names it was taken in by.
using ImportTeller = std::function<void(const Image& image, const std::vector<std::string>& names)>;

enum class ExportLayers {
  kAny,       // as they were if they can be had, else from what is unpacked
  kOriginal,  // fetched from where the image came from: all digests stay as they were
  kUnpacked,  // written anew from what is unpacked, without asking anybody
};

struct ExportRequest {
  std::string reference;
  ExportLayers layers = ExportLayers::kAny;
};

// Takes the files of an OCI image layout, one after the other.
class LayoutTarget {
 public:
  virtual ~LayoutTarget() = default;
  virtual absl::Status write(std::string_view bytes) = 0;    // of the next file
  virtual absl::Status finish(const std::string& path) = 0;  // that was all of it: its path
  virtual absl::Status drop() = 0;                           // it is not wanted after all
  virtual absl::Status restart() = 0;                        // nor is any that came before
};

// What an export has written.
struct Exported {
  std::string id;
  std::string manifestDigest;
  std::string manifest;
  std::vector<std::string> names;
  bool rebuilt = false;  // from what is unpacked: the digests are others than the image's
  std::string reason;    // why, when it was not asked for
};

// What has been done for pulls since the start, and what waits for its turn at the moment.
struct LayerFigures {
  uint64_t fetched = 0;       // layers
  uint64_t fetchedBytes = 0;  // of those, as they were transferred
  size_t waitingForDownload = 0;
  size_t waitingForUnpack = 0;
};

// Thread-safe. Calls that pull, unpack or remove block; find and list answer from memory, what else
// is asked of a known image from the records on the disk.
class ImageService {
 public:
  // Loads the records; one that is damaged is set aside and reported through `report`. An image of
  // which no snapshotter has all layers is reported too, and not there until it is pulled again,
  // for which only the missing ones are fetched. `registry` (started) and `store` must outlive the
  // service.
  static absl::StatusOr<std::unique_ptr<ImageService>> open(
      Options options, plugins::Registry& registry, store::Store& store,
      const std::function<void(std::string_view message)>& report);
  virtual ~ImageService() = default;

  // Pulls what `reference` names (as users write it: "busybox", "app:1.0", "app@sha256:…"), by the
  // first meaning of a short name that a source knows (short_names.hpp), and unpacks it. From then
  // on the name means the image for the target's platform; for others it may mean other images.
  // Pulls of the same content share one download and one unpack for each layer. An image that the
  // policy does not accept is refused before its layers are fetched, as by checkAccepted(). When it
  // returns, the image is durable and visible; when it fails, nothing of this pull is visible and
  // what no other image needs is gone. `credentials` and `progress` may be null. Error codes as
  // image_source.h says; INVALID_ARGUMENT for a reference, manifest, config or layer that is
  // malformed.
  virtual absl::StatusOr<std::shared_ptr<const Image>> pull(const plugins::Operation& op,
                                                            std::string_view reference,
                                                            const plugins::Credentials* credentials,
                                                            const PullTarget& target,
                                                            PullProgress* progress) = 0;

  // Takes in the images of a folder or an archive that lies on the node, as pull() does. Each image
  // is durable and visible, or nothing of it is, when it has been told of; the failures of all are
  // joined. INVALID_ARGUMENT when the file has no images, or none has a name; NOT_FOUND for a name
  // that is not there. `progress` may be null.
  virtual absl::Status importImages(const plugins::Operation& op, const ImportRequest& request,
                                    PullProgress* progress, const ImportTeller& tell) = 0;
  // Writes an image, blobs first and the index last. NOT_FOUND; what kOriginal cannot fetch is told
  // of with every place that was asked. Nothing can take the image's layers away meanwhile.
  virtual absl::StatusOr<Exported> exportImage(const plugins::Operation& op,
                                               const ExportRequest& request,
                                               LayoutTarget& target) = 0;
  // Whether the kubelet is asked to keep the image when the disk gets full (CRI, Image.pinned); it
  // stays so until it is changed or the image removed. Durable when it returns. NOT_FOUND.
  virtual absl::StatusOr<std::shared_ptr<const Image>> setPinned(std::string_view reference,
                                                                 bool pinned) = 0;

  // Makes sure that all layers of a known image are there for `snapshotter`, fetching them again
  // where they are not (another snapshotter, damage), from wherever they can be had. Nothing to do
  // is the usual, fast case.
  virtual absl::Status ensureUnpacked(const plugins::Operation& op, const Image& image,
                                      const std::string& snapshotter,
                                      const plugins::Credentials* credentials) = 0;

  // By id ("sha256:…", hexadecimal digits, or a unique prefix of at least 7 of them), by tag or by
  // digest reference, names completed as in pull: the first meaning that is here, for whichever
  // platform, that of Options first. NOT_FOUND.
  virtual absl::StatusOr<std::shared_ptr<const Image>> find(std::string_view reference) const = 0;
  // The same, but by a name what that means for this platform (PullTarget) alone.
  virtual absl::StatusOr<std::shared_ptr<const Image>> findFor(
      std::string_view reference, const std::string& platform) const = 0;
  virtual std::vector<std::shared_ptr<const Image>> list() const = 0;
  // Of both: NOT_FOUND when the image is gone, also because its record is damaged: it is not there
  // then until it is pulled again.
  virtual absl::StatusOr<common::ImageConfig> config(const Image& image) = 0;
  virtual absl::StatusOr<ImageContent> content(const Image& image) = 0;

  // Removes the image that the id means, or the name for this platform (PullTarget), with all its
  // names (CRI, RemoveImage); its layers go as soon as no image and no snapshot uses them. One that
  // is not there is success.
  virtual absl::Status remove(const plugins::Operation& op, std::string_view reference,
                              const std::string& platform = {}) = 0;
  // Frees layers that nothing uses any more: called after containers are removed. Never holds up
  // pulls or finds.
  virtual void collectGarbage() = 0;
  // Compares images, layers and snapshots with what they were: as long as reading all of them
  // takes, beside everything else. What is damaged is told of; with `repair` it is dropped, and an
  // image that lacks it then is not there until it is pulled again. What a container uses it keeps.
  // An error ends the check.
  virtual absl::Status checkStorage(const plugins::Operation& op, const StorageRequest& request,
                                    const StorageTeller& tell) = 0;
  virtual LayerFigures layerFigures() const = 0;
  // Ends what runs of its own accord, cancelling it; afterwards no plugin is called but by a call
  // of the caller's. Idempotent.
  virtual void finish() = 0;

  // How fast layers are written from now on, by all pulls together: Options::writeBytesPerSecond.
  virtual void limitWrites(uint64_t bytesPerSecond) = 0;
  // Short names mean something else from now on; not null.
  virtual void completeBy(std::shared_ptr<const ShortNames> shortNames) = 0;
  // Judges by another policy from now on, what is here as well; null accepts every image.
  virtual void judgeBy(std::shared_ptr<const signatures::Policy> policy) = 0;
  // Whether the policy accepts a known image for a container that asks for it by `names`: by each
  // of them that is a name, or, when all are ids or empty, by any name that the image has. Looks at
  // the signatures that its pulls have brought and nowhere else. UNKNOWN as CRI clients expect it
  // for a refused image; blocks as long as verifying takes.
  virtual absl::Status checkAccepted(const plugins::Operation& op, const Image& image,
                                     const std::vector<std::string>& names) = 0;
};

}  // namespace berth::images
