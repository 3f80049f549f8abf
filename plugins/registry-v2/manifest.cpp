#include "manifest.hpp"

#include <algorithm>
#include <charconv>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "digest.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;

constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kOciArtifact = "application/vnd.oci.artifact.manifest.v1+json";
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kDockerSchema1Prefix =
    "application/vnd.docker.distribution.manifest.v1+";

constexpr std::string_view kAccepted[] = {kOciManifest, kOciIndex, kDockerManifest, kDockerList,
                                          kOciArtifact};

absl::Status schema1() {
  return absl::FailedPreconditionError(
      "the image is in Docker's schema 1, which is no longer supported; push it again with a "
      "current tool, which writes schema 2 or OCI");
}

bool isIndexType(std::string_view type) {
  return type == kOciIndex || type == kDockerList;
}

// What the document's own members make it; empty when they do not say.
absl::StatusOr<std::string_view> typeFromMembers(const boost::json::object& document) {
  const bool index = document.contains("manifests");
  const bool image = document.contains("layers") || document.contains("config");
  if (index && image)
    return absl::DataLossError(
        "the document claims to be an index and an image manifest at the same time");
  return index ? kOciIndex : image ? kOciManifest : std::string_view();
}

std::string typeOfHeader(std::string_view contentType) {
  return lowerAscii(trimmed(contentType.substr(0, contentType.find(';'))));
}

bool isSchema1(std::string_view type) {
  return type.substr(0, kDockerSchema1Prefix.size()) == kDockerSchema1Prefix;
}

}  // namespace

bool isManifestType(std::string_view mediaType) {
  return std::find(std::begin(kAccepted), std::end(kAccepted), mediaType) != std::end(kAccepted);
}

absl::StatusOr<std::string> manifestMediaType(std::string_view contentType,
                                              std::string_view document) {
  const std::string header = typeOfHeader(contentType);
  if (isSchema1(header)) return schema1();
  const auto parsed = support::parseJsonObject(document, "the manifest");
  if (!parsed.ok())
    return absl::DataLossError(
        strCat("what was sent is no manifest: ", support::fromAbsl(parsed.status().message())));
  const std::string own = support::stringMember(*parsed, "mediaType");
  if (isSchema1(own) || support::intMember(*parsed, "schemaVersion") == 1) return schema1();
  BERTH_ASSIGN_OR_RETURN(const std::string_view shape, typeFromMembers(*parsed));

  // Servers that keep manifests as plain files send a general type.
  std::string type = isManifestType(header) ? header : own.empty() ? std::string(shape) : own;
  if (!isManifestType(type))
    return absl::DataLossError(strCat("what was sent is no manifest: its type is \"",
                                      support::oneLine(type.empty() ? header : type, 128), "\""));
  if (!own.empty() && own != type)
    return absl::DataLossError(strCat("the manifest calls itself \"", support::oneLine(own, 128),
                                      "\", but was sent as \"", type, "\""));
  if (!shape.empty() && isIndexType(type) != isIndexType(shape))
    return absl::DataLossError(
        strCat("the manifest was sent as \"", type, "\", but has the members of another type"));
  return type;
}

std::vector<std::string> ManifestContent::headers() const {
  std::string accept = "Accept: ";
  for (const std::string_view type : kAccepted) accept += strCat(type, ", ");
  return {accept + "*/*;q=0.1"};
}

absl::Status ManifestContent::tooLarge() const {
  return absl::ResourceExhaustedError(
      strCat("the manifest is larger than ", wanted_.limit, " bytes"));
}

absl::Status ManifestContent::begin(const HttpHead& head) {
  head_ = head;
  document_.clear();
  uint64_t length = 0;
  const std::string& text = head.contentLength;
  const bool known =
      std::from_chars(text.data(), text.data() + text.size(), length).ec == std::errc();
  return known && length > wanted_.limit ? tooLarge() : absl::OkStatus();
}

absl::Status ManifestContent::data(std::string_view piece) {
  if (piece.size() > wanted_.limit - document_.size()) return tooLarge();
  document_.append(piece);
  return absl::OkStatus();
}

absl::Status ManifestContent::verifyDigest() {
  BERTH_ASSIGN_OR_RETURN(digest_, digestOf(document_, wanted_.digest));
  if (!wanted_.digest.empty() && wanted_.digest != digest_)
    return absl::DataLossError(
        strCat("the manifest sent has the digest ", digest_, ", not ", wanted_.digest));
  const std::string& claimed = head_.dockerContentDigest;
  if (claimed.empty() || !checkDigest(claimed).ok()) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const std::string computed, digestOf(document_, claimed));
  if (computed != claimed)
    return absl::DataLossError(
        strCat("the manifest sent has the digest ", computed, ", but the registry says ", claimed));
  return absl::OkStatus();
}

absl::Status ManifestContent::finish() {
  if (head_.status != 200)
    return absl::DataLossError(strCat("HTTP ", head_.status, " in answer to a manifest's request"));
  BERTH_RETURN_IF_ERROR(verifyDigest());
  BERTH_ASSIGN_OR_RETURN(mediaType_, manifestMediaType(head_.contentType, document_));
  return absl::OkStatus();
}

}  // namespace berth::registry
