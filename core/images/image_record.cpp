#include "images/image_record.hpp"

#include <algorithm>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "images/acceptance.hpp"
#include "images/digest.hpp"
#include "images/manifest.hpp"
#include "images/name_platforms.hpp"

namespace berth::images {

using support::strCat;

namespace {

// OCI image specification, "Image Manifest". It was understood when the image was pulled; what is
// of another type since is none of the image's need.
void addAnnotations(const std::string& manifest, Image& image) {
  const auto document = support::parseJsonObject(manifest, "manifest");
  const auto* members = document.ok() ? support::objectMember(*document, "annotations") : nullptr;
  if (members == nullptr) return;
  std::map<std::string_view, std::string_view> sorted;
  for (const auto& [key, value] : *members)
    if (const boost::json::string* text = value.if_string())
      sorted[{key.data(), key.size()}] = {text->data(), text->size()};
  image.isCheckpoint = std::any_of(kCheckpointAnnotations.begin(), kCheckpointAnnotations.end(),
                                   [&](std::string_view key) { return sorted.contains(key); });
  size_t bytes = 0;
  for (const auto& [key, value] : sorted) {
    if (key.size() + value.size() > kMostAnnotationBytes - bytes) continue;
    bytes += key.size() + value.size();
    image.annotations.emplace(key, value);
  }
}

template <class Field>
void addUnique(Field& field, const std::string& value) {
  if (std::find(field.begin(), field.end(), value) == field.end()) *field.Add() = value;
}

// In the repository of `like`, a name by digest; for platforms unless the record has it already.
void addDigest(const std::string& digest, const std::string& like,
               const std::vector<std::string>& platforms, records::ImageRecord& record) {
  const std::string name = strCat(like.substr(0, like.find('@')), "@", digest);
  const int before = record.digests_size();
  addUnique(*record.mutable_digests(), name);
  if (record.digests_size() > before) setPlatforms(name, platforms, record);
}

// The manifest by which an image came here counts; the digest of the other stays one of its names,
// as a signature may be of it.
void keepManifest(const records::ImageRecord& old, records::ImageRecord& record) {
  if (record.manifest_digest() == old.manifest_digest()) return;
  if (record.digests_size() > 0)
    addDigest(record.manifest_digest(), record.digests(0), platformsOf(record, record.digests(0)),
              record);
  record.set_manifest_digest(old.manifest_digest());
  record.set_manifest(old.manifest());
  record.set_config(old.config());
  record.set_source(old.source());
  *record.mutable_layers() = old.layers();
}

// The same of an image whose new manifest is proven.
void keepManifestDigest(const records::ImageRecord& old, records::ImageRecord& record) {
  if (record.manifest_digest() == old.manifest_digest() || old.digests_size() == 0) return;
  addDigest(old.manifest_digest(), old.digests(0), platformsOf(old, old.digests(0)), record);
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
  for (const auto& [name, kept] : record.platforms())
    image->platforms[name] = platformsOf(record, name);
  image->pinned = record.pinned();
  BERTH_ASSIGN_OR_RETURN(const common::ImageConfig config, configOf(record));
  if (config.diffIds.size() != static_cast<size_t>(record.layers_size())) {
    return absl::InvalidArgumentError(strCat("the configuration of image ", record.id(), " names ",
                                             config.diffIds.size(), " layers, its manifest ",
                                             record.layers_size()));
  }
  image->user = support::utf8Prefix(config.user, kMostUserBytes);
  addAnnotations(record.manifest(), *image);
  image->layers = layersOf(config);
  image->size = record.manifest().size() + record.config().size();
  for (const records::DescriptorRecord& layer : record.layers()) image->size += layer.size();
  return std::shared_ptr<const Image>(std::move(image));
}

void mergeRecord(const records::ImageRecord& old, bool takesItsManifest,
                 records::ImageRecord& record) {
  mergePlatforms(old, record);
  for (const std::string& tag : old.tags()) addUnique(*record.mutable_tags(), tag);
  for (const std::string& digest : old.digests()) addUnique(*record.mutable_digests(), digest);
  if (takesItsManifest)
    keepManifestDigest(old, record);
  else
    keepManifest(old, record);
  mergeSignatures(old, record);
  record.set_pinned(record.pinned() || old.pinned());
}

records::ImageRecord remnantOf(const Image& image) {
  records::ImageRecord record;
  record.set_id(image.id);
  record.set_manifest_digest(image.manifestDigest);
  record.mutable_tags()->Add(image.repoTags.begin(), image.repoTags.end());
  record.mutable_digests()->Add(image.repoDigests.begin(), image.repoDigests.end());
  for (const auto& [name, platforms] : image.platforms) setPlatforms(name, platforms, record);
  record.set_pinned(image.pinned);
  boost::json::array diffIds;
  for (const plugins::Layer& layer : image.layers) {
    diffIds.emplace_back(layer.diffId);
    record.add_layers();
  }
  const boost::json::object rootfs{{"type", "layers"}, {"diff_ids", std::move(diffIds)}};
  record.set_config(boost::json::serialize(boost::json::object{{"rootfs", rootfs}}));
  return record;
}

absl::StatusOr<common::ImageConfig> configOf(const records::ImageRecord& record) {
  return common::parseImageConfig(record.config(), strCat("configuration of image ", record.id()));
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
  const int count = std::min(record.layers_size(), static_cast<int>(image.layers.size()));
  for (int i = 0; i < count; ++i) {
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
