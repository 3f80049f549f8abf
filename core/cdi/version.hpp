// Which version of the CDI specification has what.
#pragma once

#include <absl/status/status.h>

#include "cdi/document.hpp"

namespace berth::cdi {

// What a file uses that its parsed form does not show.
struct FeatureUse {
  bool annotations = false;
};

// INVALID_ARGUMENT for a version that is unknown, or lower than what the file uses needs.
absl::Status checkVersion(const Document& document, const FeatureUse& use);

}  // namespace berth::cdi
