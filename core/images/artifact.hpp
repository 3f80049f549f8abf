// Artifacts: manifests whose configuration describes no image (OCI image specification, "Guidelines
// for Artifact Usage"). Those whose layers are file systems can be mounted like images.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "images/fetch.hpp"
#include "images/manifest.hpp"
#include "images/slots.hpp"

namespace berth::images {

// By the type of its configuration, and by what that says where the type says nothing.
bool isArtifact(const Manifest& manifest, std::string_view config);

struct ArtifactLimits {
  uint64_t maxLayerBytes;  // of a layer, unpacked; 0: any
  Slots& downloads;
};

// The configuration that an image of the same layers would have. The digests of what is in
// compressed layers are not written down anywhere: they are fetched to find them out.
// INVALID_ARGUMENT when a layer is no tar archive by its type, RESOURCE_EXHAUSTED when one unpacks
// to more than allowed. Blocks.
absl::StatusOr<std::string> artifactConfig(const plugins::Operation& op, const Origin& origin,
                                           const Manifest& manifest, const Platform& platform,
                                           const ArtifactLimits& limits);

}  // namespace berth::images
