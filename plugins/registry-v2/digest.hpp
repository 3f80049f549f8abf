// Content digests (OCI image spec, "Digests"): sha256 and sha512, the registered algorithms.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::registry {

// INVALID_ARGUMENT unless `digest` is "sha256:" or "sha512:" with the right number of lowercase
// hexadecimal digits.
absl::Status checkDigest(std::string_view digest);

// The digest of `bytes` with the algorithm of `like`, which has passed checkDigest; empty: sha256.
absl::StatusOr<std::string> digestOf(std::string_view bytes, std::string_view like = {});

}  // namespace berth::registry
