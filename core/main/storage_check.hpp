// A check of all that the daemon keeps: records, images, layers, snapshots.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "images/image_service.hpp"
#include "store/store.hpp"

namespace berth::program {

// Borrowed, but for the path.
struct KeptThings {
  std::string database;  // path
  store::Store& store;
  images::ImageService& images;
};

// Contract: ImageService::checkStorage. Records of pods and containers are the engine's to change:
// those that are damaged are told of alone.
absl::Status checkStorage(const plugins::Operation& op, const images::StorageRequest& request,
                          const KeptThings& kept, const images::StorageTeller& tell);

}  // namespace berth::program
