// What an image's signature says, once it is known who says it.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::signatures {

struct Claim {
  std::string digest;  // "sha256:…" of a manifest or an index
  std::string name;    // as the signer wrote it: "registry.example/app:1.0"
};

enum class PayloadKind {
  kSimple,    // containers-signature(5)
  kSigstore,  // cosign's "simple signing" payload, which differs in its type
};

// INVALID_ARGUMENT for a payload with any other member than those of the format, with one of them
// twice or missing: it may mean something that is not understood here.
absl::StatusOr<Claim> parsePayload(std::string_view text, PayloadKind kind);

}  // namespace berth::signatures
