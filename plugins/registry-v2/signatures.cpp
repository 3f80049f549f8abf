#include "signatures.hpp"

#include "attachments.hpp"
#include "berth/support/status.hpp"
#include "endpoint.hpp"
#include "lookaside.hpp"
#include "manifest.hpp"
#include "small_content.hpp"

namespace berth::registry {
namespace {

using support::strCat;

constexpr uint64_t kMostSignatureBytes = 128u << 10;
constexpr uint64_t kMostManifestBytes = 1u << 20;
constexpr size_t kMostAside = 256;
constexpr char kOtherFormat = '\0';  // begins what is no OpenPGP message

absl::Status statusOf(const Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

}  // namespace

absl::Status SignatureFinder::find(std::string_view digest, SignatureList& out) {
  const RegistryOptions* table = services_.options.find(reference_.host);
  if (table != nullptr && !table->lookaside.empty())
    BERTH_RETURN_IF_ERROR(findAside(table->lookaside, digest, out));
  return findAttached(digest, out);
}

// They are counted without a gap.
absl::Status SignatureFinder::findAside(const Lookaside& store, std::string_view digest,
                                        SignatureList& out) {
  for (size_t number = 1; number <= kMostAside; ++number) {
    BERTH_RETURN_IF_ERROR(patience_.check());
    const auto signature = getAside(store, lookasidePath(reference_.path, digest, number));
    if (absl::IsNotFound(signature.status())) return absl::OkStatus();
    if (!signature.ok()) return signature.status();
    if (signature->empty() || signature->front() == kOtherFormat) continue;
    BERTH_RETURN_IF_ERROR(statusOf(out.addSimple(*signature)));
  }
  return absl::ResourceExhaustedError(
      strCat("the lookaside store has more than ", kMostAside, " signatures of ", digest));
}

absl::StatusOr<std::string> SignatureFinder::getAside(const Lookaside& store,
                                                      const std::string& path) {
  if (!store.url) return readLookaside(store.folder + path, kMostSignatureBytes);
  Url url = *store.url;
  url.path += path;
  SmallContent content({.limit = kMostSignatureBytes});
  const Endpoint registry = endpointsOf(services_.options, reference_).back();
  BERTH_RETURN_IF_ERROR(client().getFile("get a signature", url, registry, content));
  return content.bytes();
}

absl::Status SignatureFinder::findAttached(std::string_view digest, SignatureList& out) {
  const std::string tag = attachmentTag(digest);
  ManifestContent manifest({.digest = {}, .limit = kMostManifestBytes});
  absl::Status got = client().get({.reference = reference_,
                                   .kind = "manifests",
                                   .what = tag,
                                   .doing = strCat("get the signatures ", tag)},
                                  manifest);
  if (absl::IsNotFound(got)) return absl::OkStatus();
  if (!got.ok()) return got;
  BERTH_ASSIGN_OR_RETURN(const auto attachments, parseAttachments(manifest.document()));
  for (const Attachment& one : attachments) {
    SmallContent payload({.digest = one.digest, .limit = kMostSignatureBytes});
    BERTH_RETURN_IF_ERROR(client().get({.reference = reference_,
                                        .kind = "blobs",
                                        .what = one.digest,
                                        .doing = strCat("get a payload of ", tag)},
                                       payload));
    BERTH_RETURN_IF_ERROR(statusOf(out.addSigstore(payload.bytes(), one.signature)));
  }
  return absl::OkStatus();
}

}  // namespace berth::registry
