// Names of entries, made safe.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::untar {

struct LayerPath {
  std::string parent;  // from the layer's root, "" for the root itself
  std::string base;    // one component; "" when the path is the root itself
  std::string full() const { return parent.empty() ? base : parent + "/" + base; }
};

// Without empty, "." and ".." components. INVALID_ARGUMENT when it leaves the root or is longer
// than the kernel takes.
absl::StatusOr<LayerPath> layerPath(std::string_view name);

// What an entry's name says beyond naming a file (OCI image spec, "Whiteouts"; AUFS).
enum class Marker {
  kNone,
  kWhiteout,  // ".wh.<name>": <name> is not there any more
  kOpaque,    // ".wh..wh..opq": nothing of the layers below is in this directory
  kIgnored,   // AUFS's own files
};
Marker markerOf(const LayerPath& path);

// The name that a whiteout hides. INVALID_ARGUMENT when there is none.
absl::StatusOr<std::string> whiteoutTarget(const LayerPath& path);

}  // namespace berth::untar
