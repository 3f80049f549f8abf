#include "images/locator.hpp"

#include <algorithm>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "images/artifact.hpp"
#include "images/digest.hpp"
#include "images/name_platforms.hpp"

namespace berth::images {

using support::strCat;

namespace {

// It is read for each container that is made; those of real images have some ten kilobytes.
constexpr uint64_t kMaxConfigBytes = 1u << 20;

// Marks a status; what is in it does not count.
constexpr const char* kUnknownName = "berth/unknown-name";

// Another place may have what this one lacks, keeps to itself, or gives damaged.
bool isThePlaces(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status) || absl::IsDataLoss(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

bool isUnknownName(const absl::Status& status) {
  return status.GetPayload(kUnknownName).has_value();
}

absl::StatusOr<Found> Locator::resolve(const plugins::Operation& op,
                                       const plugins::ImageRequest& request) const {
  return ask(op, request, options_.sources);
}

absl::StatusOr<Found> Locator::resolveFile(const plugins::Operation& op,
                                           const std::string& path) const {
  std::vector<std::string> sources;
  for (const auto& instance : registry_.instances())
    if (instance->kind() == plugins::Kind::kImageSource) sources.push_back(instance->name());
  return ask(op, {strCat(kFileScheme, path), nullptr}, sources);
}

absl::StatusOr<Found> Locator::ask(const plugins::Operation& op,
                                   const plugins::ImageRequest& request,
                                   const std::vector<std::string>& sources) const {
  std::vector<std::string> attempts;
  absl::StatusCode code = absl::StatusCode::kNotFound;
  for (const std::string& name : sources) {
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::ImageSource> source,
                           registry_.imageSource(name));
    if (!source->serves(request.reference)) continue;
    auto resolved = source->resolve(op, request, options_.maxManifestBytes);
    if (resolved.ok()) {
      const std::string& digest = resolved->descriptor.digest;
      if (!isDigest(digest) || digestLike(digest, resolved->document) != digest) {
        return absl::DataLossError(strCat("plugin ", name, " gave a document for ",
                                          request.reference, " that does not have its digest"));
      }
      return Found{source, *std::move(resolved)};
    }
    attempts.push_back(strCat(name, ": ", support::fromAbsl(resolved.status().message())));
    code = resolved.status().code();
    if (!absl::IsNotFound(resolved.status())) break;
  }
  if (attempts.empty()) attempts.push_back("no configured image source serves this reference");
  absl::Status failed(code,
                      strCat("pull ", request.reference, ": ", absl::StrJoin(attempts, "; ")));
  if (code == absl::StatusCode::kNotFound) failed.SetPayload(kUnknownName, absl::Cord());
  return failed;
}

absl::StatusOr<Platform> Locator::platform(const std::string& text) const {
  if (text.empty()) return platform_;
  return parsePlatform(text);
}

absl::StatusOr<records::ImageRecord> Locator::describe(const plugins::Operation& op,
                                                       const Origin& origin,
                                                       const plugins::Resolved& resolved,
                                                       const Platform& platform) const {
  const std::string context = strCat("pull ", origin.request.reference, ": ", origin.source->name(),
                                     ": manifest ", resolved.descriptor.digest);
  std::string text = resolved.document;
  std::string digest = resolved.descriptor.digest;
  auto document = parseDocument(text, resolved.descriptor.mediaType);
  if (!document.ok()) return support::annotate(document.status(), context);
  if (const Index* index = std::get_if<Index>(&*document)) {
    auto chosen = choose(*index, platform);
    if (!chosen.ok()) return support::annotate(chosen.status(), context);
    BERTH_ASSIGN_OR_RETURN(text, fetchDocument(op, origin, *chosen, options_.maxManifestBytes));
    digest = chosen->digest;
    document = parseDocument(text, chosen->mediaType);
    if (!document.ok()) return support::annotate(document.status(), context);
  }
  const Manifest* manifest = std::get_if<Manifest>(&*document);
  if (manifest == nullptr) {
    return absl::InvalidArgumentError(strCat(context, ": the index names another index"));
  }
  records::ImageRecord record;
  record.set_id(manifest->config.digest);
  record.set_manifest_digest(digest);
  record.set_manifest(text);
  BERTH_ASSIGN_OR_RETURN(*record.mutable_config(),
                         fetchDocument(op, origin, manifest->config, kMaxConfigBytes));
  // Artifacts share their empty configuration, and what makes an image a checkpoint stands in the
  // manifest alone.
  if (isArtifact(*manifest, record.config()) || isCheckpoint(manifest->annotations))
    record.set_id(digest);
  for (const plugins::Descriptor& layer : manifest->layers) {
    records::DescriptorRecord* kept = record.add_layers();
    kept->set_media_type(layer.mediaType);
    kept->set_digest(layer.digest);
    kept->set_size(layer.size);
    for (const std::string& url : layer.urls) kept->add_urls(url);
  }
  record.set_source(origin.source->name());
  return record;
}

absl::Status Locator::complete(const plugins::Operation& op, const Origin& origin,
                               const Platform& platform, Slots& downloads,
                               records::ImageRecord& record) const {
  const std::string context = strCat("pull ", origin.request.reference, ": ", origin.source->name(),
                                     ": manifest ", record.manifest_digest());
  const auto document = parseDocument(record.manifest(), {});
  if (!document.ok()) return support::annotate(document.status(), context);
  const Manifest* manifest = std::get_if<Manifest>(&*document);
  if (manifest == nullptr || !isArtifact(*manifest, record.config())) return absl::OkStatus();
  auto config =
      artifactConfig(op, origin, *manifest, platform, {options_.maxLayerBytes, downloads});
  if (!config.ok()) return support::annotate(config.status(), context);
  record.set_config(*std::move(config));
  return absl::OkStatus();
}

absl::StatusOr<records::ImageRecord> Locator::otherManifest(
    const plugins::Operation& op, const Origin& origin, const records::ImageRecord& record) const {
  BERTH_ASSIGN_OR_RETURN(const Found found, ask(op, origin.request, {origin.source->name()}));
  BERTH_ASSIGN_OR_RETURN(const Platform wanted,
                         platform(platformsOf(record, origin.request.reference).front()));
  BERTH_ASSIGN_OR_RETURN(records::ImageRecord other, describe(op, origin, found.resolved, wanted));
  if (other.id() == record.id() && other.manifest_digest() != record.manifest_digest() &&
      other.layers_size() == record.layers_size())
    return other;
  return absl::NotFoundError(strCat(origin.request.reference, " is by no other manifest"));
}

absl::Status Locator::fromAny(const plugins::Operation& op, const records::ImageRecord& record,
                              const plugins::Credentials* credentials,
                              const std::function<absl::Status(const Origin&)>& use) const {
  std::vector<std::string> sources{record.source()};
  for (const std::string& name : options_.sources)
    if (name != record.source()) sources.push_back(name);
  // A digest means this content alone; a tag may mean another one by now, in which the layers are
  // not, or are.
  std::vector<std::string> references(record.digests().begin(), record.digests().end());
  references.insert(references.end(), record.tags().begin(), record.tags().end());
  support::StatusCollector attempts;
  for (const std::string& name : sources) {
    const auto source = registry_.imageSource(name);
    if (!source.ok()) {
      attempts.add(source.status());
      continue;
    }
    for (const std::string& reference : references) {
      if (!(*source)->serves(reference)) continue;
      absl::Status used = use(Origin{*source, {reference, credentials}});
      if (used.ok()) return used;
      BERTH_RETURN_IF_ERROR(op.check());
      if (!isThePlaces(used)) return used;
      attempts.add(support::annotate(used, strCat(name, ", ", reference)));
    }
  }
  if (!attempts.ok()) return attempts.status();
  return absl::FailedPreconditionError(
      strCat("no configured image source serves any of its ", references.size(), " names"));
}

}  // namespace berth::images
