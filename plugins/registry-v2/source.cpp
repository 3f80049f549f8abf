#include "source.hpp"

#include <algorithm>

#include <curl/curl.h>

#include "berth/support/status.hpp"
#include "blob.hpp"
#include "digest.hpp"
#include "manifest.hpp"
#include "reference.hpp"
#include "signatures.hpp"

namespace berth::registry {
namespace {

using support::strCat;

// Manifests are held in memory whole; registries refuse larger ones than 4 MiB.
constexpr uint64_t kManifestLimit = 16u << 20;

absl::StatusOr<std::optional<Credentials>> credentialsOf(const ImageRequest& request) {
  if (!request.hasCredentials) return std::nullopt;
  BERTH_ASSIGN_OR_RETURN(Credentials given, readCredentials(request.credentials));
  if (given.empty()) return std::nullopt;
  return given;
}

absl::Status startLibcurl() {
  // Never undone: other users of libcurl in this process count on it, and libcurl counts starts.
  static const CURLcode code = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code == CURLE_OK) return absl::OkStatus();
  return absl::InternalError(strCat("start libcurl: ", ::curl_easy_strerror(code)));
}

absl::Status checkAllowed(const Options& options, const Reference& reference) {
  const RegistryOptions* table = options.find(reference.host);
  if (table == nullptr || !table->blocked) return absl::OkStatus();
  return absl::PermissionDeniedError(
      strCat("the registry ", reference.host, " is blocked by the configuration"));
}

// A Sink's failure, which ends the call with the host's own code.
absl::Status writeRest(const std::string& document, uint64_t offset, Sink& out) {
  const std::string_view rest = std::string_view(document).substr(static_cast<size_t>(offset));
  const Status status = rest.empty() ? Status() : out.write(rest);
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

}  // namespace

Services RegistrySource::services() {
  return {options_, *http_, grants_, host()};
}

Status RegistrySource::configure(std::string_view options) {
  auto parsed = parseOptions(options);
  if (!parsed.ok()) return parsed.status();
  options_ = *std::move(parsed);
  return {};
}

Status RegistrySource::start() {
  absl::Status status = startLibcurl();
  if (status.ok()) http_.emplace(options_);
  return status;
}

void RegistrySource::stop() {
  if (http_) http_->closeIdle();
  grants_.clear();
}

bool RegistrySource::serves(std::string_view reference) {
  return namesRegistry(reference);
}

Status RegistrySource::resolve(const Op& op, const ImageRequest& request, uint64_t limit,
                               Resolved& out) {
  return resolveImage(op, request, limit, out);
}

Status RegistrySource::fetch(const Op& op, const ImageRequest& request,
                             const Descriptor& descriptor, uint64_t offset, Sink& out) {
  return fetchContent(op, request, descriptor, offset, out);
}

Status RegistrySource::origin(const Op& /*op*/, const ImageRequest& /*request*/,
                              std::string_view /*digest*/, ImageOrigin& out) {
  out = {};
  return {};
}

Status RegistrySource::signatures(const Op& op, const ImageRequest& request,
                                  std::string_view digest, SignatureList& out) {
  return findSignatures(op, request, digest, out);
}

absl::Status RegistrySource::resolveImage(const Op& op, const ImageRequest& request, uint64_t limit,
                                          Resolved& out) {
  BERTH_ASSIGN_OR_RETURN(const Reference reference, parseReference(request.reference));
  BERTH_RETURN_IF_ERROR(checkAllowed(options_, reference));
  BERTH_ASSIGN_OR_RETURN(std::optional<Credentials> given, credentialsOf(request));
  const Patience patience(op);
  const Services shared = services();
  Authorizer authorizer(shared, std::move(given), patience);
  ManifestContent content({.digest = reference.digest, .limit = limit});
  BERTH_RETURN_IF_ERROR(Client(shared, dead_, authorizer, patience)
                            .get({.reference = reference,
                                  .kind = "manifests",
                                  .what = reference.target(),
                                  .doing = strCat("resolve ", request.reference)},
                                 content));
  out.mediaType = content.mediaType();
  out.digest = content.digest();
  out.document = content.document();
  return absl::OkStatus();
}

absl::Status RegistrySource::fetchContent(const Op& op, const ImageRequest& request,
                                          const Descriptor& descriptor, uint64_t offset,
                                          Sink& out) {
  BERTH_ASSIGN_OR_RETURN(const Reference reference, parseReference(request.reference));
  BERTH_RETURN_IF_ERROR(checkAllowed(options_, reference));
  const std::string doing = strCat("fetch ", descriptor.digest, " of ", request.reference);
  BERTH_RETURN_IF_ERROR(support::annotate(checkDigest(descriptor.digest), "fetch a blob"));
  if (offset > descriptor.size)
    return absl::OutOfRangeError(
        strCat(doing, ": the offset ", offset, " is past its size of ", descriptor.size, " bytes"));
  if (offset == descriptor.size) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(std::optional<Credentials> given, credentialsOf(request));
  const Patience patience(op);
  const Services shared = services();
  Authorizer authorizer(shared, std::move(given), patience);
  Client client(shared, dead_, authorizer, patience);

  const bool isManifest = isManifestType(descriptor.mediaType);
  const Query query{.reference = reference,
                    .kind = isManifest ? "manifests" : "blobs",
                    .what = descriptor.digest,
                    .doing = doing};
  if (!isManifest) {
    BlobContent content(op, descriptor, offset, out);
    return client.get(query, content, descriptor.urls);
  }
  ManifestContent content({.digest = std::string(descriptor.digest),
                           .limit = std::min(descriptor.size, kManifestLimit)});
  BERTH_RETURN_IF_ERROR(client.get(query, content, descriptor.urls));
  if (content.document().size() != descriptor.size)
    return absl::DataLossError(strCat(doing, ": it has ", content.document().size(),
                                      " bytes; its descriptor says ", descriptor.size));
  return writeRest(content.document(), offset, out);
}

absl::Status RegistrySource::findSignatures(const Op& op, const ImageRequest& request,
                                            std::string_view digest, SignatureList& out) {
  BERTH_ASSIGN_OR_RETURN(const Reference reference, parseReference(request.reference));
  BERTH_RETURN_IF_ERROR(support::annotate(checkDigest(digest), "get the signatures of an image"));
  BERTH_ASSIGN_OR_RETURN(std::optional<Credentials> given, credentialsOf(request));
  const Patience patience(op);
  const Services shared = services();
  Authorizer authorizer(shared, std::move(given), patience);
  return SignatureFinder(shared, dead_, authorizer, patience, reference).find(digest, out);
}

}  // namespace berth::registry
