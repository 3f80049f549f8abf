// Maps of sparse files: which parts of a file an archive holds.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "block_stream.hpp"

namespace berth::untar {

struct SparseChunk {
  uint64_t offset = 0;
  uint64_t size = 0;
};
using SparseMap = std::vector<SparseChunk>;

// Bounds the memory that a map can take.
inline constexpr size_t kMaximumSparseChunks = 1u << 18;

// Old GNU format: four chunks in the header block, more in the blocks that follow. Also sets the
// file's size.
absl::StatusOr<SparseMap> readOldGnuMap(std::string_view headerBlock, BlockStream& stream,
                                        uint64_t& fileSize);

// pax "GNU.sparse.map" (0.1): "offset,size,offset,size".
absl::StatusOr<SparseMap> parseSparseMap(std::string_view text);

// pax 1.0: decimal lines in front of the data, padded to a block; takes what it reads off `stored`.
absl::StatusOr<SparseMap> readSparseMap(BlockStream& stream, uint64_t& stored);

// Ascending, apart, within the file, and as much data as the archive holds.
absl::Status checkSparseMap(const SparseMap& map, uint64_t fileSize, uint64_t stored);

}  // namespace berth::untar
