// Unpacks an image layer (OCI image spec, "Image Layer Filesystem Changeset") into a directory that
// is to be a lower layer of an overlay: whiteouts become the kernel's form of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/untar/tar_reader.hpp"
#include "berth/untar/usage.hpp"

namespace berth::untar {

// Whether something that was unpacked can have extended attributes, but for those that the kernel
// gives to all: to look costs as much as to make a small file.
enum class Attributes { kNone, kPossible };

// Sees what is unpacked, on the thread that does it.
class ExtractObserver {
 public:
  // A regular file has got its next piece of content, in ascending positions; what none covers is
  // zeros.
  virtual void onContent(const DataPiece& piece) = 0;
  // That was all of it.
  virtual void onFile(const struct stat& info) = 0;
  // In the end, each thing in the directory in its final state.
  virtual absl::Status onFound(const FoundEntry& entry, Attributes attributes) = 0;

 protected:
  ~ExtractObserver() = default;
};

struct ExtractOptions {
  uint64_t maximumArchiveBytes = UINT64_MAX;  // of the uncompressed tar
  uint64_t maximumEntries = UINT64_MAX;
  ExtractObserver* observer = nullptr;  // borrowed
};

struct ExtractResult {
  DiskUsage usage;  // of the whole directory
  uint64_t entries = 0;
  uint64_t archiveBytes = 0;
  // Directories that the layer has but does not describe, by path from the root ("" is the root
  // itself), parents first: made with mode 0755 for entries below them. Their owner, mode and
  // attributes are those of the layers below.
  std::vector<std::string> impliedDirectories;
};

// Reads the archive to its very end. `root` is an empty directory of mode 0755 that nobody else can
// reach; it is borrowed. Needs root. Nothing is synced. Blocks; any thread, any number at once.
//
// - Names may begin with "/" or "./"; "x/../y" is "y"; a name or hard link that leaves the root is
//   INVALID_ARGUMENT. A link inside the layer that stands in an entry's path is followed as if the
//   layer were the root file system.
// - A later entry replaces an earlier one of the same name; a directory keeps its content.
// - Extended attributes trusted.overlay.* (they would steer the mount) and security.selinux (the
//   host's policy) are left out, and those that the file system does not have.
// - Past a limit, of which that on the paths of implied directories (8 MiB) is always there:
//   RESOURCE_EXHAUSTED. On any failure the directory holds what was unpacked so far;
//   the caller removes it.
absl::StatusOr<ExtractResult> extractLayer(int root, PieceSource source,
                                           const ExtractOptions& options = {});

}  // namespace berth::untar
