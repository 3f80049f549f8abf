#include "images/export.hpp"

#include <algorithm>

#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "images/compress.hpp"
#include "images/digest.hpp"
#include "images/image_record.hpp"
#include "images/manifest.hpp"
#include "images/reference.hpp"

namespace berth::images {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kDockerManifestType =
    "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kDockerConfigType = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kLayerType = "application/vnd.oci.image.layer.v1.tar+gzip";

// OCI image layout specification, "Blobs".
std::string blobPath(std::string_view digest) {
  const size_t colon = digest.find(':');
  return strCat("blobs/", digest.substr(0, colon), "/", digest.substr(colon + 1));
}

json::object descriptorOf(std::string_view mediaType, std::string_view digest, uint64_t size) {
  return {{"mediaType", mediaType}, {"digest", digest}, {"size", size}};
}

// Not all manifests say what they are; what their configuration is tells.
std::string mediaTypeOf(const json::object& manifest) {
  const json::object* config = support::objectMember(manifest, "config");
  const bool isDocker =
      config != nullptr && support::stringMember(*config, "mediaType") == kDockerConfigType;
  return support::stringMember(manifest, "mediaType",
                               isDocker ? kDockerManifestType : kManifestType);
}

}  // namespace

absl::StatusOr<Exported> Exporter::run(const Image& image, const records::ImageRecord& record,
                                       const ExportRequest& request) {
  absl::StatusOr<Exported> exported = absl::UnavailableError("");
  if (request.layers != ExportLayers::kUnpacked) exported = original(record);
  if (!exported.ok() && request.layers == ExportLayers::kAny) {
    const absl::Status reason = exported.status();
    BERTH_RETURN_IF_ERROR(op_.check());
    BERTH_RETURN_IF_ERROR(target_.restart());
    put_.clear();
    exported = rebuilt(image, record);
    if (exported.ok()) exported->reason = support::fromAbsl(reason.message());
  } else if (request.layers == ExportLayers::kUnpacked) {
    exported = rebuilt(image, record);
  }
  BERTH_RETURN_IF_ERROR(exported.status());
  // By a name only that one is wanted, by the id all.
  exported->names = image.repoTags;
  if (const auto reference = parseReference(request.reference); reference.ok()) {
    const std::string tagged = reference->tagged();
    if (std::find(image.repoTags.begin(), image.repoTags.end(), tagged) != image.repoTags.end())
      exported->names = {tagged};
  }
  BERTH_RETURN_IF_ERROR(finish(*exported, record));
  return exported;
}

absl::StatusOr<Exported> Exporter::original(const records::ImageRecord& record) {
  const absl::Status fetched = locator_.fromAny(
      op_, record, nullptr, [&](const Origin& origin) { return fetchContent(origin, record); });
  if (!fetched.ok())
    return support::annotate(fetched, strCat("fetch the layers of image ", record.id()));
  // An artifact has a configuration of the engine's own making, which is not what it had.
  if (record.id() != record.manifest_digest())
    BERTH_RETURN_IF_ERROR(putBlob(record.config()).status());
  Exported exported;
  exported.id = record.id();
  exported.manifest = record.manifest();
  exported.manifestDigest = record.manifest_digest();
  return exported;
}

absl::Status Exporter::fetchContent(const Origin& origin, const records::ImageRecord& record) {
  if (record.id() == record.manifest_digest()) {
    BERTH_ASSIGN_OR_RETURN(const auto document, parseDocument(record.manifest(), kManifestType));
    if (const Manifest* manifest = std::get_if<Manifest>(&document))
      BERTH_RETURN_IF_ERROR(fetchInto(origin, manifest->config));
  }
  for (const records::DescriptorRecord& layer : record.layers())
    BERTH_RETURN_IF_ERROR(fetchInto(origin, {layer.media_type(),
                                             layer.digest(),
                                             layer.size(),
                                             {layer.urls().begin(), layer.urls().end()},
                                             {}}));
  return absl::OkStatus();
}

absl::Status Exporter::fetchInto(const Origin& origin, const plugins::Descriptor& descriptor) {
  // Another place may have given it already; a layer may be there twice.
  if (std::find(put_.begin(), put_.end(), descriptor.digest) != put_.end()) return absl::OkStatus();
  absl::Status fetched = fetchBlob(op_, origin, descriptor,
                                   [this](std::string_view bytes) { return target_.write(bytes); });
  if (!fetched.ok()) {
    BERTH_RETURN_IF_ERROR(target_.drop());
    return fetched;
  }
  put_.push_back(descriptor.digest);
  return target_.finish(blobPath(descriptor.digest));
}

absl::StatusOr<Exported> Exporter::rebuilt(const Image& image, const records::ImageRecord& record) {
  if (snapshotter_ == nullptr)
    return absl::FailedPreconditionError(
        strCat("no snapshotter has all layers of image ", image.id));
  json::array layers;
  json::array diffIds;
  for (size_t i = 0; i < image.layers.size(); ++i) {
    auto layer = rebuildLayer(image, i);
    if (!layer.ok())
      return support::annotate(layer.status(), strCat("write layer ", i + 1, " of ",
                                                      image.layers.size(), " of image ", image.id));
    layers.push_back(descriptorOf(kLayerType, layer->descriptor.digest, layer->descriptor.size));
    diffIds.emplace_back(layer->diffId);
  }
  BERTH_ASSIGN_OR_RETURN(json::object config,
                         support::parseJsonObject(record.config(), "the configuration"));
  support::objectAt(config, "rootfs")["diff_ids"] = std::move(diffIds);
  const std::string configText = json::serialize(config);
  Exported exported;
  BERTH_ASSIGN_OR_RETURN(exported.id, putBlob(configText));
  json::object manifest{{"schemaVersion", 2},
                        {"mediaType", kManifestType},
                        {"config", descriptorOf(kConfigType, exported.id, configText.size())},
                        {"layers", std::move(layers)}};
  BERTH_ASSIGN_OR_RETURN(const json::object original,
                         support::parseJsonObject(record.manifest(), "the manifest"));
  if (const json::object* annotations = support::objectMember(original, "annotations"))
    manifest["annotations"] = *annotations;
  exported.manifest = json::serialize(manifest);
  exported.manifestDigest = sha256(exported.manifest);
  exported.rebuilt = true;
  return exported;
}

absl::StatusOr<Exporter::Rebuilt> Exporter::rebuildLayer(const Image& image, size_t layer) {
  // As a container's, which has changed nothing: what a crash leaves of it, the next start removes.
  plugins::SnapshotSpec spec;
  spec.key = strCat(support::randomId(), "-export");
  spec.layers.assign(image.layers.begin(),
                     image.layers.begin() + static_cast<std::ptrdiff_t>(layer) + 1);
  BERTH_RETURN_IF_ERROR(snapshotter_->prepare(op_, spec));
  auto written = writeLayer(spec.key, layer);
  // Also when the export has been given up.
  const plugins::Operation undo(strCat("remove snapshot ", spec.key));
  const absl::Status removed = snapshotter_->remove(undo, spec.key);
  if (written.ok()) BERTH_RETURN_IF_ERROR(removed);
  return written;
}

absl::StatusOr<Exporter::Rebuilt> Exporter::writeLayer(const std::string& snapshot, size_t layer) {
  Hash plain;
  Hash packed;
  Rebuilt rebuilt;
  GzipWriter gzip([&](std::string_view bytes) {
    packed.update(bytes);
    rebuilt.descriptor.size += bytes.size();
    return target_.write(bytes);
  });
  const auto take = [&](std::string_view bytes) {
    plain.update(bytes);
    return gzip.write(bytes);
  };
  BERTH_RETURN_IF_ERROR(snapshotter_->diff(op_, snapshot, static_cast<uint32_t>(layer), take));
  BERTH_RETURN_IF_ERROR(gzip.finish());
  rebuilt.diffId = plain.finish();
  rebuilt.descriptor.digest = packed.finish();
  BERTH_RETURN_IF_ERROR(target_.finish(blobPath(rebuilt.descriptor.digest)));
  return rebuilt;
}

absl::Status Exporter::put(const std::string& path, std::string_view bytes) {
  BERTH_RETURN_IF_ERROR(target_.write(bytes));
  return target_.finish(path);
}

absl::StatusOr<std::string> Exporter::putBlob(std::string_view bytes) {
  std::string digest = sha256(bytes);
  BERTH_RETURN_IF_ERROR(put(blobPath(digest), bytes));
  return digest;
}

absl::Status Exporter::finish(const Exported& exported, const records::ImageRecord& record) {
  BERTH_ASSIGN_OR_RETURN(const common::ImageConfig config, configOf(record));
  BERTH_ASSIGN_OR_RETURN(const json::object manifest,
                         support::parseJsonObject(exported.manifest, "the manifest"));
  const std::string mediaType = mediaTypeOf(manifest);
  BERTH_RETURN_IF_ERROR(put(blobPath(exported.manifestDigest), exported.manifest));
  json::array entries;
  const auto add = [&](const std::string& name) {
    json::object entry = descriptorOf(mediaType, exported.manifestDigest, exported.manifest.size());
    json::object platform{{"architecture", config.architecture}, {"os", config.os}};
    if (!config.variant.empty()) platform["variant"] = config.variant;
    entry["platform"] = std::move(platform);
    // The first has no room for a whole name by the specification, and all tools but some put one
    // there; those read the second.
    if (!name.empty())
      entry["annotations"] = json::object{{"org.opencontainers.image.ref.name", name},
                                          {"io.containerd.image.name", name}};
    entries.push_back(std::move(entry));
  };
  for (const std::string& name : exported.names) add(name);
  if (exported.names.empty()) add({});
  BERTH_RETURN_IF_ERROR(put("oci-layout", R"({"imageLayoutVersion": "1.0.0"})"));
  return put("index.json", json::serialize(json::object{{"schemaVersion", 2},
                                                        {"mediaType", kIndexType},
                                                        {"manifests", std::move(entries)}}));
}

}  // namespace berth::images
