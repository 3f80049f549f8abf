// An image as an OCI image layout, for other nodes and other tools.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "images/image_service.hpp"
#include "images/locator.hpp"
#include "plugins/snapshotter.hpp"
#include "records.pb.h"

namespace berth::images {

// Manifest and configuration are kept as they were, layers only unpacked. So there are two ways,
// and each of them gives a whole image: to fetch the layers again from where they came, after which
// every digest is as it was; or to write them anew from what is unpacked, which has the same
// content, but other digests, and so another id.
class Exporter {
 public:
  // All are borrowed. `snapshotter` has all layers; null when none has.
  Exporter(const plugins::Operation& op, const Locator& locator, plugins::Snapshotter* snapshotter,
           LayoutTarget& target)
      : op_(op), locator_(locator), snapshotter_(snapshotter), target_(target) {}

  // Contract: ImageService::exportImage.
  absl::StatusOr<Exported> run(const Image& image, const records::ImageRecord& record,
                               const ExportRequest& request);

 private:
  absl::StatusOr<Exported> original(const records::ImageRecord& record);
  absl::Status fetchContent(const Origin& origin, const records::ImageRecord& record);
  absl::Status fetchInto(const Origin& origin, const plugins::Descriptor& descriptor);
  absl::StatusOr<Exported> rebuilt(const Image& image, const records::ImageRecord& record);
  struct Rebuilt {
    plugins::Descriptor descriptor;
    std::string diffId;
  };
  absl::StatusOr<Rebuilt> rebuildLayer(const Image& image, size_t layer);
  absl::StatusOr<Rebuilt> writeLayer(const std::string& snapshot, size_t layer);
  absl::Status put(const std::string& path, std::string_view bytes);
  absl::StatusOr<std::string> putBlob(std::string_view bytes);
  absl::Status finish(const Exported& exported, const records::ImageRecord& record);

  const plugins::Operation& op_;
  const Locator& locator_;
  plugins::Snapshotter* snapshotter_;
  LayoutTarget& target_;
  std::vector<std::string> put_;  // digests of the blobs that are written
};

}  // namespace berth::images
