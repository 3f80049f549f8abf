// Manifests and indexes (OCI image specification; Docker image manifest version 2, schema 2).
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include "plugins/image_source.hpp"

namespace berth::images {

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;

  std::string text() const;  // "linux/arm64/v8"
  bool operator==(const Platform&) const = default;
};

// "linux/arm64/v8", or the host's when empty. INVALID_ARGUMENT.
absl::StatusOr<Platform> parsePlatform(std::string_view text);
// What tells a platform apart from the one that is taken by default: empty for that, and for none;
// without a variant that is the architecture's base line. INVALID_ARGUMENT.
absl::StatusOr<std::string> platformBeside(const Platform& standard, std::string_view text);

struct Manifest {
  plugins::Descriptor config;
  std::vector<plugins::Descriptor> layers;  // lowest first
  std::map<std::string, std::string> annotations;
};

// The annotations by which an image says that it is a checkpoint, each with the container's name.
inline constexpr std::array<std::string_view, 2> kCheckpointAnnotations = {
    "org.criu.checkpoint.container.name", "io.kubernetes.cri-o.annotations.checkpoint.name"};

bool isCheckpoint(const std::map<std::string, std::string>& annotations);

struct IndexEntry {
  plugins::Descriptor descriptor;
  Platform platform;  // empty members: not said
};

struct Index {
  std::vector<IndexEntry> entries;
};

// INVALID_ARGUMENT names the member that is wrong; schema 1 is refused by name. `mediaType` is what
// the source said, used when the document does not say itself.
absl::StatusOr<std::variant<Manifest, Index>> parseDocument(std::string_view text,
                                                            std::string_view mediaType);

// The entry that fits best: same system and architecture, and the nearest variant not above the
// wanted one. NOT_FOUND lists what the index has.
absl::StatusOr<plugins::Descriptor> choose(const Index& index, const Platform& wanted);

}  // namespace berth::images
