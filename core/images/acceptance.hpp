// Which images the signature policy lets in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "common/published.hpp"
#include "images/fetch.hpp"
#include "images/image_service.hpp"
#include "images/reference.hpp"
#include "records.pb.h"
#include "signatures/policy.hpp"

namespace berth::images {

// Thread-safe. A refused image is UNKNOWN with a message that begins as CRI clients expect it
// (k8s.io/cri-api/pkg/errors, ErrSignatureValidationFailed; the kubelet compares the text of errors
// with this code alone).
class Acceptance {
 public:
  explicit Acceptance(std::shared_ptr<const signatures::Policy> policy)
      : policy_(std::move(policy)) {}

  void judgeBy(std::shared_ptr<const signatures::Policy> policy) {
    policy_.store(std::move(policy));
  }

  // Gives the record of an image that is being pulled the name `reference`, which the source has
  // resolved to the document `digest`, if it may have it. Asks the source where the image comes
  // from and for its signatures, and puts both into the record. Without a policy only the first is
  // asked, for one that may come.
  absl::Status admit(const plugins::Operation& op, const Origin& origin, const Reference& reference,
                     const std::string& digest, records::ImageRecord& record) const;

  // ImageService::checkAccepted() of a kept image.
  absl::Status check(const plugins::Operation& op, const records::ImageRecord& record,
                     const std::vector<std::string>& names) const;
  bool acceptsAll() const { return policy_.load() == nullptr; }

 private:
  common::Published<signatures::Policy> policy_;
};

// Adds the origins and signatures that an image's earlier pulls have brought, but for signatures of
// what this one has asked for anew.
void mergeSignatures(const records::ImageRecord& old, records::ImageRecord& into);

}  // namespace berth::images
