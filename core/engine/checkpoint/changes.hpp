// What a container has changed in its root filesystem: as the layer that snapshotters know, and as
// the two files that a checkpoint has of it.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "engine/checkpoint/archive.hpp"

namespace berth::checkpoint {

// Takes a layer's tar apart: what it adds stays, as the file `rootfs-diff.tar`; what it removes is
// listed in `deleted.files`, with absolute paths. The layer's file is gone afterwards. Blocks.
absl::Status splitLayer(const std::string& layer, const std::string& tree, const Check& check);

struct RestoredLayer {
  std::string file;
  std::string diffId;  // digest of that file
};

// The layer that a tree's two files make up, as a file in the tree. No other container has the same
// one: `container` is part of it. Empty when the container had changed nothing. INVALID_ARGUMENT
// for files that are damaged. Blocks.
absl::StatusOr<RestoredLayer> joinLayer(const std::string& tree, const std::string& container,
                                        const Check& check);

}  // namespace berth::checkpoint
