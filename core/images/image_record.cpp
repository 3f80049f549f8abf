#include "images/image_record.hpp"

#include "berth/support/status.hpp"
#include "images/digest.hpp"

namespace berth::images {

using support::strCat;

std::vector<plugins::Layer> layersOf(const common::ImageConfig& config) {
  std::vector<plugins::Layer> layers;
  for (const std::string& diffId : config.diffIds) {
    plugins::Layer layer;
    layer.diffId = diffId;
    if (layers.empty()) {
      layer.chainId = diffId;
    } else {
      layer.parentChainId = layers.back().chainId;
      layer.chainId = sha256(strCat(layer.parentChainId, " ", diffId));
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

absl::StatusOr<std::shared_ptr<const Image>> imageOf(const records::ImageRecord& record) {
  auto image = std::make_shared<Image>();
  image->id = record.id();
  image->manifestDigest = record.manifest_digest();
  image->repoTags.assign(record.tags().begin(), record.tags().end());
  image->repoDigests.assign(record.digests().begin(), record.digests().end());
  image->pinned = record.pinned();
  BERTH_ASSIGN_OR_RETURN(
      image->config,
      common::parseImageConfig(record.config(), strCat("configuration of image ", record.id())));
  if (image->config.diffIds.size() != static_cast<size_t>(record.layers_size())) {
    return absl::InvalidArgumentError(strCat("the configuration of image ", record.id(), " names ",
                                             image->config.diffIds.size(), " layers, its manifest ",
                                             record.layers_size()));
  }
  image->layers = layersOf(image->config);
  image->size = record.manifest().size() + record.config().size();
  for (const records::DescriptorRecord& layer : record.layers()) image->size += layer.size();
  return std::shared_ptr<const Image>(std::move(image));
}

std::vector<WantedLayer> wantedLayers(const Image& image, const records::ImageRecord& record) {
  std::vector<WantedLayer> wanted;
  for (int i = 0; i < record.layers_size(); ++i) {
    const records::DescriptorRecord& layer = record.layers(i);
    wanted.push_back({image.layers[static_cast<size_t>(i)],
                      {layer.media_type(),
                       layer.digest(),
                       layer.size(),
                       {layer.urls().begin(), layer.urls().end()},
                       {}}});
  }
  return wanted;
}

}  // namespace berth::images
