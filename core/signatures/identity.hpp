// Which name a signature must bear for an image that is asked for by another: the "signedIdentity"
// of containers-policy.json(5).
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "images/reference.hpp"

namespace berth::signatures {

class SignedIdentity {
 public:
  enum class Kind {
    kMatchExact,
    kMatchRepoDigestOrExact,
    kMatchRepository,
    kExactReference,
    kExactRepository,
    kRemapIdentity,
  };

  // What counts when a policy says nothing.
  SignedIdentity() = default;
  // One of the first three.
  explicit SignedIdentity(Kind kind) : kind_(kind) {}
  // INVALID_ARGUMENT says what is wrong with the reference or prefix.
  static absl::StatusOr<SignedIdentity> exactReference(std::string_view reference);
  static absl::StatusOr<SignedIdentity> exactRepository(std::string_view repository);
  static absl::StatusOr<SignedIdentity> remap(std::string_view prefix,
                                              std::string_view signedPrefix);

  // Whether a signature for the name `signedName` is one for `asked`, which has a tag or a digest.
  // With both the digest counts, as it does when images are pulled.
  bool matches(const images::Reference& asked, std::string_view signedName) const;

 private:
  Kind kind_ = Kind::kMatchRepoDigestOrExact;
  images::Reference wanted_;  // of the exact ones
  std::string prefix_;
  std::string signedPrefix_;
};

}  // namespace berth::signatures
