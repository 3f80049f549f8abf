// What "docker save" writes.
#include <map>

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "image_set.hpp"
#include "names.hpp"

namespace berth::layout {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kLayerType = "application/vnd.oci.image.layer.v1.tar";
constexpr size_t kMostImages = 1'000;
constexpr size_t kMostLayers = 1'000;
constexpr size_t kMostPlatformBytes = 64;
constexpr size_t kMostNames = 10'000;
constexpr size_t kMostWrittenBytes = 64u << 20;  // of manifests that are made up

// What counts of a configuration.
struct Config {
  std::string digest;
  uint64_t size = 0;
  std::vector<std::string> diffIds;
  json::object platform;
};

struct Layer {
  std::string digest;
  uint64_t size = 0;
  std::string mediaType;
};

class Reader {
 public:
  Reader(std::shared_ptr<const Files> files, const Check& check)
      : files_(std::move(files)), check_(check) {}

  absl::StatusOr<Parts> read() {
    BERTH_ASSIGN_OR_RETURN(const json::value document, readJson(*files_, "manifest.json"));
    if (!document.is_array()) return absl::InvalidArgumentError("manifest.json is no array");
    const json::array& images = document.get_array();
    if (images.size() > kMostImages)
      return absl::ResourceExhaustedError(strCat("manifest.json names ", images.size(),
                                                 " images, more than the limit of ", kMostImages));
    for (size_t i = 0; i < images.size(); ++i) {
      BERTH_RETURN_IF_ERROR(check_());
      const absl::Status status = addImage(images[i]);
      if (!status.ok()) return support::annotate(status, strCat("manifest.json, image ", i + 1));
    }
    parts_.files = files_;
    return std::move(parts_);
  }

 private:
  absl::Status addImage(const json::value& value) {
    const json::object* image = value.if_object();
    if (image == nullptr) return absl::InvalidArgumentError("it is no object");
    BERTH_ASSIGN_OR_RETURN(const Config* config,
                           addConfig(support::stringMember(*image, "Config")));
    BERTH_ASSIGN_OR_RETURN(const json::array layers, addLayers(*image, config->diffIds));
    const std::string manifest = json::serialize(json::object{
        {"schemaVersion", 2},
        {"mediaType", kManifestType},
        {"config",
         {{"mediaType", kConfigType}, {"digest", config->digest}, {"size", config->size}}},
        {"layers", layers}});
    const std::string digest = digestOf(manifest);
    const json::object descriptor{{"mediaType", kManifestType},
                                  {"digest", digest},
                                  {"size", manifest.size()},
                                  {"platform", config->platform}};
    if (parts_.written.emplace(digest, manifest).second) written_ += manifest.size();
    if (written_ > kMostWrittenBytes)
      return absl::ResourceExhaustedError(
          strCat("its images' manifests have more than ", kMostWrittenBytes, " bytes"));
    const std::vector<std::string> tags = support::stringsMember(*image, "RepoTags");
    names_ += tags.size();
    if (names_ > kMostNames)
      return absl::ResourceExhaustedError(
          strCat("its images have more names than the limit of ", kMostNames));
    for (const std::string& tag : tags) parts_.images.push_back({completeName(tag), descriptor});
    if (tags.empty()) parts_.images.push_back({{}, descriptor});
    return absl::OkStatus();
  }

  absl::StatusOr<const Config*> addConfig(const std::string& file) {
    if (const auto known = configs_.find(file); known != configs_.end()) return &known->second;
    BERTH_ASSIGN_OR_RETURN(const Content content, files_->open(file));
    BERTH_ASSIGN_OR_RETURN(const std::string text, readAll(content, kMostDocumentBytes));
    BERTH_ASSIGN_OR_RETURN(const json::object parsed,
                           support::parseJsonObject(text, "the configuration"));
    Config config{digestOf(text), text.size(), {}, {}};
    if (const json::object* rootfs = support::objectMember(parsed, "rootfs"))
      config.diffIds = support::stringsMember(*rootfs, "diff_ids");
    if (config.diffIds.size() > kMostLayers)
      return absl::ResourceExhaustedError(
          strCat("its configuration has ", config.diffIds.size(), " layers"));
    for (const char* member : {"os", "architecture", "variant"})
      config.platform[member] =
          support::oneLine(support::stringMember(parsed, member), kMostPlatformBytes);
    parts_.placed[config.digest] = file;
    return &configs_.emplace(file, std::move(config)).first->second;
  }

  absl::StatusOr<json::array> addLayers(const json::object& image,
                                        const std::vector<std::string>& diffIds) {
    const std::vector<std::string> names = support::stringsMember(image, "Layers");
    if (names.size() != diffIds.size())
      return absl::InvalidArgumentError(
          strCat("it has ", names.size(), " layers, its configuration ", diffIds.size()));
    if (names.size() > kMostLayers)
      return absl::ResourceExhaustedError(strCat("it has ", names.size(), " layers"));
    json::array layers;
    for (size_t i = 0; i < names.size(); ++i) {
      BERTH_ASSIGN_OR_RETURN(const Layer layer, addLayer(names[i], diffIds[i]));
      layers.push_back(json::object{
          {"mediaType", layer.mediaType}, {"digest", layer.digest}, {"size", layer.size}});
    }
    return layers;
  }

  absl::StatusOr<Layer> addLayer(const std::string& name, const std::string& diffId) {
    if (!isDigest(diffId))
      return absl::InvalidArgumentError(
          strCat("its configuration's diff ID \"", support::oneLine(diffId, 160),
                 "\" is neither sha256: and 64 nor sha512: and 128 hexadecimal digits"));
    if (const auto known = known_.find(name); known != known_.end()) return known->second;
    BERTH_ASSIGN_OR_RETURN(const Content content, files_->open(name));
    // Some tools write compressed ones.
    BERTH_ASSIGN_OR_RETURN(const std::string_view compression, compressionOf(content));
    Layer layer{diffId, content.size,
                strCat(kLayerType, compression.empty() ? "" : "+", compression)};
    // What is not compressed is the diff ID's own content, as the host will see for itself.
    if (!compression.empty()) {
      BERTH_ASSIGN_OR_RETURN(layer.digest, digestOf(content, check_));
    }
    parts_.placed[layer.digest] = name;
    known_[name] = layer;
    return layer;
  }

  const std::shared_ptr<const Files> files_;
  const Check& check_;
  Parts parts_;
  // By file: images share them.
  std::map<std::string, Layer> known_;
  std::map<std::string, Config> configs_;
  size_t names_ = 0;
  size_t written_ = 0;  // bytes
};

}  // namespace

absl::StatusOr<Parts> readDockerArchive(std::shared_ptr<const Files> files, const Check& check) {
  return Reader(std::move(files), check).read();
}

}  // namespace berth::layout
