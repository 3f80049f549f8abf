// Signatures that are attached to an image in its own repository, as cosign does it ("cosign
// signature specification"): a manifest with a tag made of the image's digest, whose layers are
// what is signed, with the signatures as their annotations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::registry {

struct Attachment {
  std::string digest;     // of the blob that is signed
  uint64_t size = 0;      // bytes
  std::string signature;  // in base64
};

// "sha256-<digits>.sig" for "sha256:<digits>".
std::string attachmentTag(std::string_view digest);

// The signatures that a manifest names. What else it names is left out, and signatures that lack
// something too. DATA_LOSS when it is no manifest of layers, or names more than anybody attaches.
absl::StatusOr<std::vector<Attachment>> parseAttachments(std::string_view manifest);

}  // namespace berth::registry
