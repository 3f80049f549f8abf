#include "sparse.hpp"

#include <optional>

#include "berth/support/status.hpp"
#include "numbers.hpp"

namespace berth::untar {
namespace {

using support::strCat;

// Places in GNU's header and extension blocks.
constexpr size_t kHeaderChunks = 386;
constexpr size_t kHeaderChunkCount = 4;
constexpr size_t kHeaderExtended = 482;
constexpr size_t kHeaderRealSize = 483;
constexpr size_t kExtensionChunkCount = 21;
constexpr size_t kExtensionExtended = 504;
constexpr size_t kNumberBytes = 12;

absl::Status bad(std::string_view what) {
  return absl::InvalidArgumentError(strCat("the map of the sparse file ", what));
}

absl::Status append(SparseMap& map, std::optional<uint64_t> offset, std::optional<uint64_t> size) {
  if (!offset || !size) return bad("has a number that is none");
  if (map.size() >= kMaximumSparseChunks)
    return bad(strCat("has more than ", kMaximumSparseChunks, " parts"));
  map.push_back({*offset, *size});
  return absl::OkStatus();
}

std::optional<uint64_t> unsignedField(std::string_view field) {
  const std::optional<int64_t> number = fieldNumber(field);
  if (!number || *number < 0) return std::nullopt;
  return static_cast<uint64_t>(*number);
}

absl::Status appendOldGnu(SparseMap& map, std::string_view block, size_t at, size_t count) {
  for (size_t i = 0; i < count; ++i, at += 2 * kNumberBytes) {
    if (block[at] == '\0') return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(append(map, unsignedField(block.substr(at, kNumberBytes)),
                                 unsignedField(block.substr(at + kNumberBytes, kNumberBytes))));
  }
  return absl::OkStatus();
}

// The decimal lines of a 1.0 map, read a block at a time.
class MapLines {
 public:
  MapLines(BlockStream& stream, uint64_t& stored) : stream_(stream), stored_(stored) {}

  absl::StatusOr<uint64_t> next() {
    constexpr size_t kMaximumDigits = 20;
    std::string digits;
    for (;;) {
      if (block_.empty()) BERTH_RETURN_IF_ERROR(refill());
      const char character = block_.front();
      block_.remove_prefix(1);
      if (character == '\n') break;
      digits.push_back(character);
      if (digits.size() > kMaximumDigits) return bad("has a number that is too long");
    }
    const std::optional<uint64_t> number = decimalNumber(digits);
    if (!number) return bad("has a number that is none");
    return *number;
  }

 private:
  absl::Status refill() {
    if (stored_ < kBlockBytes) return bad("goes on past the file's data");
    BERTH_ASSIGN_OR_RETURN(block_, stream_.block());
    if (block_.empty()) return bad("is cut off by the end of the archive");
    stored_ -= kBlockBytes;
    return absl::OkStatus();
  }

  BlockStream& stream_;
  uint64_t& stored_;
  std::string_view block_;
};

}  // namespace

absl::StatusOr<SparseMap> readOldGnuMap(std::string_view headerBlock, BlockStream& stream,
                                        uint64_t& fileSize) {
  const std::optional<uint64_t> size =
      unsignedField(headerBlock.substr(kHeaderRealSize, kNumberBytes));
  if (!size) return bad("gives no size of the file");
  fileSize = *size;
  SparseMap map;
  BERTH_RETURN_IF_ERROR(appendOldGnu(map, headerBlock, kHeaderChunks, kHeaderChunkCount));
  for (bool more = headerBlock[kHeaderExtended] != '\0'; more;) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view block, stream.block());
    if (block.empty()) return bad("is cut off by the end of the archive");
    more = block[kExtensionExtended] != '\0';
    const size_t before = map.size();
    BERTH_RETURN_IF_ERROR(appendOldGnu(map, block, 0, kExtensionChunkCount));
    // Else blocks without a single part could go on without end.
    if (map.size() == before && more) return bad("has an empty extension");
  }
  return map;
}

absl::StatusOr<SparseMap> parseSparseMap(std::string_view text) {
  SparseMap map;
  while (!text.empty()) {
    const size_t first = text.find(',');
    if (first == std::string_view::npos) return bad("has an odd number of numbers");
    const size_t second = text.find(',', first + 1);
    BERTH_RETURN_IF_ERROR(append(map, decimalNumber(text.substr(0, first)),
                                 decimalNumber(text.substr(first + 1, second - first - 1))));
    text = second == std::string_view::npos ? std::string_view() : text.substr(second + 1);
  }
  return map;
}

absl::StatusOr<SparseMap> readSparseMap(BlockStream& stream, uint64_t& stored) {
  MapLines lines(stream, stored);
  BERTH_ASSIGN_OR_RETURN(const uint64_t count, lines.next());
  if (count > kMaximumSparseChunks)
    return bad(strCat("has more than ", kMaximumSparseChunks, " parts"));
  SparseMap map;
  for (uint64_t i = 0; i < count; ++i) {
    BERTH_ASSIGN_OR_RETURN(const uint64_t offset, lines.next());
    BERTH_ASSIGN_OR_RETURN(const uint64_t size, lines.next());
    map.push_back({offset, size});
  }
  return map;
}

absl::Status checkSparseMap(const SparseMap& map, uint64_t fileSize, uint64_t stored) {
  uint64_t end = 0;
  uint64_t data = 0;
  for (const SparseChunk& chunk : map) {
    // Sizes and offsets are at most INT64_MAX, so their sum cannot wrap around.
    if (chunk.offset < end) return bad("is out of order");
    end = chunk.offset + chunk.size;
    if (end > fileSize) return bad("reaches past the end of the file");
    data += chunk.size;
  }
  if (data != stored) return bad(strCat("covers ", data, " bytes, but the archive holds ", stored));
  return absl::OkStatus();
}

}  // namespace berth::untar
