#include "images/artifact.hpp"

#include <algorithm>
#include <array>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "images/decompress.hpp"
#include "images/digest.hpp"
#include "images/piece_queue.hpp"

namespace berth::images {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr std::array<std::string_view, 2> kImageConfigs = {
    "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"};
constexpr std::array<std::string_view, 6> kArchiveEndings = {"tar",      "tar+gzip", "tar.gzip",
                                                             "tar+zstd", "tar.zstd", "tar+gz"};

bool isArchive(std::string_view mediaType) {
  return std::any_of(kArchiveEndings.begin(), kArchiveEndings.end(),
                     [&](std::string_view ending) { return mediaType.ends_with(ending); });
}

absl::StatusOr<std::string> hashPlain(const plugins::Operation& op, const std::string& registry,
                                      PieceQueue& queue, uint64_t maxBytes) {
  const std::unique_ptr<Decompressor> plain = Decompressor::create(
      [&queue] { return queue.next(); }, [&](Slots& slots) { return slots.take(op, registry); });
  Hash hash;
  uint64_t bytes = 0;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view piece, plain->next());
    if (piece.empty()) break;
    bytes += piece.size();
    if (maxBytes != 0 && bytes > maxBytes)
      return absl::ResourceExhaustedError(strCat("it unpacks to more than ", maxBytes, " bytes"));
    hash.update(piece);
  }
  // What stands behind the compressed stream belongs to the blob; its end tells whether that was
  // the right one.
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view rest, queue.next());
    if (rest.empty()) return hash.finish();
  }
}

absl::StatusOr<std::string> diffId(const plugins::Operation& op, const Origin& origin,
                                   const plugins::Descriptor& layer, const ArtifactLimits& limits) {
  if (layer.mediaType.ends_with("tar")) return layer.digest;
  BERTH_ASSIGN_OR_RETURN(const Slots::Slot slot, limits.downloads.take(op, registryOf(origin)));
  PieceQueue queue;
  BERTH_ASSIGN_OR_RETURN(std::thread fetcher, support::startThread([&] {
                           queue.close(support::returnThrown([&] {
                             return fetchBlob(op, origin, layer, [&queue](std::string_view bytes) {
                               return queue.write(bytes);
                             });
                           }));
                         }));
  auto digest = hashPlain(op, registryOf(origin), queue, limits.maxLayerBytes);
  queue.abandon();
  fetcher.join();
  if (digest.ok()) return digest;
  return support::annotate(digest.status(), strCat("layer ", layer.digest));
}

}  // namespace

bool isArtifact(const Manifest& manifest, std::string_view config) {
  if (std::find(kImageConfigs.begin(), kImageConfigs.end(), manifest.config.mediaType) !=
      kImageConfigs.end())
    return false;
  const auto document = support::parseJsonObject(config, "configuration");
  return !document.ok() || support::objectMember(*document, "rootfs") == nullptr;
}

absl::StatusOr<std::string> artifactConfig(const plugins::Operation& op, const Origin& origin,
                                           const Manifest& manifest, const Platform& platform,
                                           const ArtifactLimits& limits) {
  for (const plugins::Descriptor& layer : manifest.layers)
    if (!isArchive(layer.mediaType))
      return absl::InvalidArgumentError(
          strCat("it is an artifact with a layer of the type \"", layer.mediaType,
                 "\"; only those whose layers are tar archives can be used as images"));
  json::array diffIds;
  for (const plugins::Descriptor& layer : manifest.layers) {
    BERTH_ASSIGN_OR_RETURN(const std::string id, diffId(op, origin, layer, limits));
    diffIds.emplace_back(id);
  }
  return json::serialize(
      json::object{{"architecture", platform.architecture},
                   {"os", platform.os},
                   {"rootfs", json::object{{"type", "layers"}, {"diff_ids", std::move(diffIds)}}}});
}

}  // namespace berth::images
