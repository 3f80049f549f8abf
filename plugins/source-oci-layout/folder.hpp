// An image's files as they lie in a folder.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "content.hpp"

namespace berth::layout {

// `path` is absolute. What lies in the folder need not be trusted: links lead nowhere outside of
// it, and pipes and devices are refused without being waited for. NOT_FOUND.
absl::StatusOr<std::unique_ptr<Files>> openFolder(const std::string& path);

}  // namespace berth::layout
