// The volumes that an image declares (OCI image specification, "Volumes" of its configuration).
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <absl/status/statusor.h>

#include "common/image_config.hpp"
#include "cri-runtime-v1.pb.h"

namespace berth::volumes {

// What becomes of them.
enum class ImageDefinedVolumes {
  kBind,           // each is a directory on the host, filled with what the image has there
  kMakeDirectory,  // a directory in the container's own root filesystem
  kIgnore,
};

// The paths in the container, clean and sorted, at which the image wants volumes and can have them.
// Left out are those at or below a mount of the request, which is what the user wants there, and
// those at or below what every container has at /dev, /proc and /sys. Any thread, does not block.
std::vector<std::string> definedVolumes(const common::ImageConfig& image,
                                        const runtime::v1::ContainerConfig& config);

struct Owner {  // on the host
  uid_t user = 0;
  gid_t group = 0;
};

// Makes the directory `target` what the image has at `path`: content, owners, modes. Where the
// image has nothing it is empty and the owner's. False, and nothing made, when the image has
// something else than a directory there. `goOn` as in copyTree(). On failure a part may be there.
// Blocks on the file system; any thread.
absl::StatusOr<bool> makeVolume(const std::string& rootfs, const std::string& path,
                                const std::string& target, Owner owner,
                                const std::function<absl::Status()>& goOn);

// Makes `path` and what is missing above it in the root filesystem, the owner's. False when
// something else than a directory stands in the way. Links are followed inside of it alone. Blocks
// on the file system; any thread.
absl::StatusOr<bool> makeInRootfs(const std::string& rootfs, const std::string& path, Owner owner);

}  // namespace berth::volumes
