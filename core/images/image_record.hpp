// Between an image's record and what the rest of the daemon sees.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "images/image_service.hpp"
#include "images/layer_keeper.hpp"
#include "records.pb.h"

namespace berth::images {

// Chain IDs as the OCI image specification computes them ("Layer ChainID"), lowest first.
std::vector<plugins::Layer> layersOf(const common::ImageConfig& config);

// INVALID_ARGUMENT when the config does not parse or does not fit the layers.
absl::StatusOr<std::shared_ptr<const Image>> imageOf(const records::ImageRecord& record);

// Adds to `record`, which is to take the place of `old`, what that says of the same image; with or
// without its own manifest.
void mergeRecord(const records::ImageRecord& old, bool takesItsManifest,
                 records::ImageRecord& record);

// What can be said of an image whose record is lost: its names, and layers that are not to be
// fetched by it. It does not pass checkContent().
records::ImageRecord remnantOf(const Image& image);

absl::StatusOr<common::ImageConfig> configOf(const records::ImageRecord& record);

// DATA_LOSS when manifest or configuration are not those that the record's digests name.
absl::Status checkContent(const records::ImageRecord& record);

// The layers with the descriptors by which they are fetched.
std::vector<WantedLayer> wantedLayers(const Image& image, const records::ImageRecord& record);

}  // namespace berth::images
