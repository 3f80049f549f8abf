// What a container is made from: an image, or a checkpoint of another container and its image.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "common/image_config.hpp"
#include "cri-runtime-v1.pb.h"
#include "engine/checkpoint/description.hpp"
#include "images/image_service.hpp"

namespace berth::engine {

using common::ImageConfig;

// The files of a checkpoint on their way into a container; removed unless they have become its.
class ImportedCheckpoint {
 public:
  // Makes an empty folder of a new name in `parent`, which is made too.
  static absl::StatusOr<std::unique_ptr<ImportedCheckpoint>> create(const std::string& parent);
  ~ImportedCheckpoint();
  ImportedCheckpoint(const ImportedCheckpoint&) = delete;
  ImportedCheckpoint& operator=(const ImportedCheckpoint&) = delete;

  const std::string& directory() const { return directory_; }
  // Reads what has been put into the folder. INVALID_ARGUMENT when it is no checkpoint.
  absl::Status read();
  const checkpoint::Tree& tree() const { return tree_; }  // after read()
  // Renames the folder; it is no longer this object's.
  absl::Status moveTo(const std::string& path);

 private:
  explicit ImportedCheckpoint(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  checkpoint::Tree tree_;
};

struct ContainerOrigin {
  std::shared_ptr<const images::Image> image;
  ImageConfig imageConfig;
  std::unique_ptr<ImportedCheckpoint> checkpoint;  // may be null

  // The request, with what only the checkpoint knows.
  runtime::v1::ContainerConfig configFor(const runtime::v1::ContainerConfig& config) const;
};

}  // namespace berth::engine
