#include "images/image_record.hpp"

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "images/digest.hpp"

namespace berth::images {

using support::strCat;

namespace {

// OCI image specification, "Image Manifest". It was understood when the image was pulled; what is
// of another type since is none of the image's need.
std::map<std::string, std::string> annotationsOf(const std::string& manifest) {
  std::map<std::string, std::string> annotations;
  const auto document = support::parseJsonObject(manifest, "manifest");
  const auto* members = document.ok() ? support::objectMember(*document, "annotations") : nullptr;
  if (members == nullptr) return annotations;
  for (const auto& [key, value] : *members)
    if (value.is_string()) annotations[std::string(key)] = std::string(value.get_string());
  return annotations;
}

}  // namespace

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
  image->annotations = annotationsOf(record.manifest());
  image->layers = layersOf(image->config);
  image->size = record.manifest().size() + record.config().size();
  for (const records::DescriptorRecord& layer : record.layers()) image->size += layer.size();
  return std::shared_ptr<const Image>(std::move(image));
}

absl::Status checkContent(const records::ImageRecord& record) {
  if (digestLike(record.manifest_digest(), record.manifest()) != record.manifest_digest()) {
    return absl::DataLossError(
        strCat("its manifest does not have the digest ", record.manifest_digest()));
  }
  // An artifact has a configuration of its image's own making.
  if (record.id() == record.manifest_digest() ||
      digestLike(record.id(), record.config()) == record.id())
    return absl::OkStatus();
  return absl::DataLossError(strCat("its configuration does not have the digest ", record.id()));
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
