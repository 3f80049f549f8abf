#include "small_content.hpp"

#include "berth/support/status.hpp"
#include "digest.hpp"

namespace berth::registry {

using support::strCat;

absl::Status SmallContent::begin(const HttpHead& head) {
  status_ = head.status;
  bytes_.clear();
  return absl::OkStatus();
}

absl::Status SmallContent::data(std::string_view piece) {
  if (piece.size() > wanted_.limit - bytes_.size())
    return absl::ResourceExhaustedError(strCat("it is larger than ", wanted_.limit, " bytes"));
  bytes_.append(piece);
  return absl::OkStatus();
}

absl::Status SmallContent::finish() {
  if (status_ != 200)
    return absl::DataLossError(strCat("HTTP ", status_, " in answer to a request for a file"));
  if (wanted_.digest.empty()) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const std::string digest, digestOf(bytes_, wanted_.digest));
  if (digest == wanted_.digest) return absl::OkStatus();
  return absl::DataLossError(
      strCat("what was sent has the digest ", digest, ", not ", wanted_.digest));
}

}  // namespace berth::registry
