// The protocol's results as absl::Status: the codes are the same numbers.
#pragma once

#include <absl/status/status.h>

#include "../protocol/result.hpp"

namespace berth::runc {

inline absl::Status statusOf(const protocol::Result& result) {
  return {static_cast<absl::StatusCode>(result.code), result.message};
}

}  // namespace berth::runc
