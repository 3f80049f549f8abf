#include "images/fetch.hpp"

#include "berth/support/status.hpp"
#include "images/digest.hpp"
#include "images/reference.hpp"

namespace berth::images {

using support::strCat;

namespace {
// Each attempt but the last must have brought the blob forward.
constexpr int kFruitlessAttempts = 3;
}  // namespace

std::string registryOf(const Origin& origin) {
  const auto reference = parseReference(origin.request.reference);
  return reference.ok() ? reference->registry : origin.request.reference;
}

absl::Status fetchBlob(const plugins::Operation& op, const Origin& origin,
                       const plugins::Descriptor& descriptor, const plugins::ByteSink& out) {
  const std::string blob = strCat("plugin ", origin.source->name(), ": blob ", descriptor.digest);
  Hash hash(descriptor.digest);
  uint64_t received = 0;
  absl::Status refused;
  const plugins::ByteSink counting = [&](std::string_view bytes) -> absl::Status {
    if (bytes.size() > descriptor.size - received) {
      refused = absl::DataLossError(
          strCat(blob, " is larger than the ", descriptor.size, " bytes its manifest says"));
      return refused;
    }
    hash.update(bytes);
    received += bytes.size();
    refused = out(bytes);
    return refused;
  };
  for (int fruitless = 0;;) {
    const uint64_t before = received;
    absl::Status status = origin.source->fetch(op, origin.request, descriptor, received, counting);
    if (!refused.ok()) return refused;
    if (status.ok() && received < descriptor.size) {
      status = absl::UnavailableError(
          strCat(blob, " ended after ", received, " of ", descriptor.size, " bytes"));
    }
    if (status.ok()) break;
    if (!absl::IsUnavailable(status)) return status;
    fruitless = received > before ? 0 : fruitless + 1;
    if (fruitless == kFruitlessAttempts) return status;
    BERTH_RETURN_IF_ERROR(op.check());
  }
  if (const std::string digest = hash.finish(); digest != descriptor.digest) {
    return absl::DataLossError(strCat(blob, " arrived with the digest ", digest));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> fetchDocument(const plugins::Operation& op, const Origin& origin,
                                          const plugins::Descriptor& descriptor, uint64_t limit) {
  if (descriptor.size > limit) {
    return absl::ResourceExhaustedError(strCat("document ", descriptor.digest, " has ",
                                               descriptor.size, " bytes; the limit is ", limit));
  }
  std::string text;
  BERTH_RETURN_IF_ERROR(fetchBlob(op, origin, descriptor, [&](std::string_view bytes) {
    text.append(bytes);
    return absl::OkStatus();
  }));
  return text;
}

}  // namespace berth::images
