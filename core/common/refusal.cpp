#include "common/refusal.hpp"

#include <absl/strings/cord.h>

namespace berth::common {

namespace {

constexpr const char* kMark = "berth/refusal";

}  // namespace

absl::Status refusal(absl::Status status) {
  status.SetPayload(kMark, absl::Cord());
  return status;
}

bool isRefusal(const absl::Status& status) {
  return status.GetPayload(kMark).has_value();
}

}  // namespace berth::common
