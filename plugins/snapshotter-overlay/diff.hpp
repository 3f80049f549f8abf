// What a snapshot changes on top of some of its layers, as the tar of a layer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "berth/support/user_namespace.hpp"
#include "berth/untar/tar_writer.hpp"

namespace berth::overlay {

// The directories that lie above each other, the highest first; `above` are to be written.
struct DiffStack {
  std::vector<std::string> above;
  std::vector<std::string> below;
  // Of the highest one alone: the ids of the others are the container's own.
  support::IdRanges uids;
  support::IdRanges gids;
};

// Contract: berth_snapshotter_diff.diff. No link is followed, and no other file system entered.
// Memory in proportion to the largest directory and the number of files with several links. Blocks;
// `check` is asked for every entry, and its failure ends the walk.
absl::Status writeDiff(const DiffStack& stack, untar::TarWriter& tar,
                       const std::function<absl::Status()>& check);

}  // namespace berth::overlay
