// An image's files as they lie in a tar archive that is not compressed.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "content.hpp"

namespace berth::layout {

// Looks for where each file lies, which reads the headers alone. The archive need not be trusted:
// nothing of it is written anywhere, and links lead to other files of it or nowhere. NOT_FOUND;
// INVALID_ARGUMENT when it is no tar archive or a compressed one, RESOURCE_EXHAUSTED when it has
// too many files. Files are opened anew each time: ABORTED when the archive has changed in between.
absl::StatusOr<std::unique_ptr<Files>> openArchive(const std::string& path, const Check& check);

}  // namespace berth::layout
