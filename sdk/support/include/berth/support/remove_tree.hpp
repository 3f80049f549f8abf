// Removal of trees (berth/support/files.hpp) in which the caller has a say.
#pragma once

#include <functional>
#include <string>

#include <absl/status/status.h>

namespace berth::support {

// As removeTree(path); `beforeEach` is called before each name that goes, and may block. Its
// failure ends the removal.
absl::Status removeTree(const std::string& path, const std::function<absl::Status()>& beforeEach);

}  // namespace berth::support
