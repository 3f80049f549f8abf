// An image's signatures, from wherever its registry's are.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "berth/image_signatures.hpp"
#include "client.hpp"

namespace berth::registry {

// For one call of the host; one thread. Everything blocks.
class SignatureFinder {
 public:
  SignatureFinder(const Services& services, DeadMirrors& dead, Authorizer& authorizer,
                  const Patience& patience, const Reference& reference)
      : services_(services),
        dead_(dead),
        authorizer_(authorizer),
        patience_(patience),
        reference_(reference) {}

  // Those in the lookaside store of the registry's table, then those attached to the image in its
  // repository: as mirrors or the registry have them, in the order in which they are asked for the
  // image. `digest` has passed checkDigest.
  absl::Status find(std::string_view digest, SignatureList& out);

 private:
  absl::Status findAside(const Lookaside& store, std::string_view digest, SignatureList& out);
  absl::StatusOr<std::string> getAside(const Lookaside& store, const std::string& path);
  absl::Status findAttached(std::string_view digest, SignatureList& out);
  Client client() { return {services_, dead_, authorizer_, patience_}; }

  const Services& services_;
  DeadMirrors& dead_;
  Authorizer& authorizer_;
  const Patience& patience_;
  const Reference& reference_;
};

}  // namespace berth::registry
