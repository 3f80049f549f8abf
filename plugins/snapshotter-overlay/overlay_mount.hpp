// Overlay mounts from any number of layers.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "options.hpp"

namespace berth::overlay {

struct LowerDirectory {
  std::string path;
  bool mapped = false;  // seen through the user namespace's id mapping
};

struct OverlayPlan {
  std::string source;                  // what the mount table shows; at most 255 bytes
  std::vector<LowerDirectory> lowers;  // highest first; two at least when there is no upper
  std::string upper;                   // empty: read-only
  std::string work;
  std::vector<std::string> options;  // "key" or "key=value"
  std::string selinuxLabel;
  int userNamespace = -1;  // borrowed
  std::string staging;     // an empty directory, used in a private mount namespace
};

// A mount that is not attached yet and goes away with its descriptor. kAuto is no choice here.
absl::StatusOr<support::Fd> makeOverlay(const OverlayPlan& plan, MountApi api);

// A mount of one directory alone, seen through the user namespace's id mapping (-1: as it is).
absl::StatusOr<support::Fd> cloneDirectory(const std::string& path, int userNamespace);

// For kernels that do not take descriptors of layers; see named_mount.cpp.
absl::StatusOr<support::Fd> makeOverlayByNames(const OverlayPlan& plan);

// Where overlays with this source are mounted in this mount namespace, lowest first.
absl::StatusOr<std::vector<std::string>> mountsOf(const std::string& source);

// The layers of the mounted overlays with this source, as the mount table has them: paths for those
// that were mounted by their descriptors, and names that tell nothing for others.
absl::StatusOr<std::vector<std::string>> lowersOf(const std::string& source);

}  // namespace berth::overlay
