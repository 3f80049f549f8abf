// A checkpoint's tree as one tar archive, and back.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::checkpoint {

// Asked for every piece; a failure ends the work and is returned.
using Check = std::function<absl::Status()>;

// Writes what a tree has to an open file. Blocks.
absl::Status writeArchive(const std::string& tree, const support::Fd& file, const Check& check);

struct ImportLimits {
  uint64_t bytes = UINT64_MAX;  // of all files together
  uint64_t files = 100'000;
};

// Fills an empty directory with the files of a checkpoint, from an archive (plain, gzip or zstd).
// What no checkpoint has is left out. The archive may come from anyone: INVALID_ARGUMENT for one
// that is damaged or cut off, for names that lead out, for links and devices, and for what comes
// twice; RESOURCE_EXHAUSTED beyond the limits. Blocks.
absl::Status importArchive(const support::Fd& file, const std::string& tree,
                           const ImportLimits& limits, const Check& check);

// The same from an open directory, such as that of an image. No link is followed: what is not a
// regular file is INVALID_ARGUMENT.
absl::Status importDirectory(const support::Fd& from, const std::string& tree,
                             const ImportLimits& limits, const Check& check);

// What the file system of `directory` has room for.
ImportLimits roomIn(const std::string& directory);

}  // namespace berth::checkpoint
