// Manifests, indexes and artifacts (OCI image spec; Docker image manifest V2, schema 2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "client.hpp"

namespace berth::registry {

// Whether content of this media type is kept among a repository's manifests rather than its blobs.
bool isManifestType(std::string_view mediaType);

// The media type of a document from the answer's Content-Type and the document itself.
// FAILED_PRECONDITION for schema 1, DATA_LOSS when it is no manifest, or when header and document,
// or the document's own parts, disagree: such a document could pass as two things at once.
absl::StatusOr<std::string> manifestMediaType(std::string_view contentType,
                                              std::string_view document);

// Takes a manifest into memory and verifies it.
class ManifestContent final : public Content {
 public:
  struct Wanted {
    std::string digest;  // empty: any, a tag was asked for
    uint64_t limit = 0;  // bytes; more is RESOURCE_EXHAUSTED
  };
  explicit ManifestContent(Wanted wanted) : wanted_(std::move(wanted)) {}

  std::vector<std::string> headers() const override;
  absl::Status begin(const HttpHead& head) override;
  absl::Status data(std::string_view piece) override;
  absl::Status finish() override;

  // After success:
  const std::string& mediaType() const { return mediaType_; }
  const std::string& digest() const { return digest_; }
  const std::string& document() const { return document_; }

 private:
  absl::Status tooLarge() const;
  absl::Status verifyDigest();

  Wanted wanted_;
  HttpHead head_;
  std::string mediaType_;
  std::string digest_;
  std::string document_;
};

}  // namespace berth::registry
