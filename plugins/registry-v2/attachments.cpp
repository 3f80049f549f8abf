#include "attachments.hpp"

#include <boost/json.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "digest.hpp"

namespace berth::registry {

namespace bj = boost::json;
using support::strCat;

namespace {

constexpr std::string_view kPayloadType = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr std::string_view kSignatureAnnotation = "dev.cosignproject.cosign/signature";
constexpr size_t kMostLayers = 256;

}  // namespace

std::string attachmentTag(std::string_view digest) {
  std::string tag(digest);
  tag.replace(tag.find(':'), 1, "-");
  return tag + ".sig";
}

absl::StatusOr<std::vector<Attachment>> parseAttachments(std::string_view manifest) {
  const auto document = support::parseJsonObject(manifest, "the manifest of signatures");
  if (!document.ok()) return absl::DataLossError(document.status().message());
  const bj::array* layers = support::arrayMember(*document, "layers");
  if (layers == nullptr)
    return absl::DataLossError("the manifest of signatures is no manifest of an image");
  if (layers->size() > kMostLayers)
    return absl::DataLossError(strCat("the manifest of signatures names ", layers->size(),
                                      " layers; the limit is ", kMostLayers));
  std::vector<Attachment> found;
  for (const bj::value& value : *layers) {
    const bj::object* layer = value.if_object();
    if (layer == nullptr || support::stringMember(*layer, "mediaType") != kPayloadType) continue;
    const bj::object* annotations = support::objectMember(*layer, "annotations");
    if (annotations == nullptr) continue;
    Attachment one;
    one.signature = support::stringMember(*annotations, kSignatureAnnotation);
    one.digest = support::stringMember(*layer, "digest");
    const int64_t size = support::intMember(*layer, "size", -1);
    if (one.signature.empty() || size < 0 || !checkDigest(one.digest).ok()) continue;
    one.size = static_cast<uint64_t>(size);
    found.push_back(std::move(one));
  }
  return found;
}

}  // namespace berth::registry
