#include "block_stream.hpp"

#include <algorithm>
#include <cstring>

#include "berth/support/status.hpp"

namespace berth::untar {

using support::strCat;

// Makes `piece_` non-empty unless the source has ended.
absl::Status BlockStream::fill() {
  if (!piece_.empty() || ended_) return absl::OkStatus();
  piece_ = {};
  BERTH_RETURN_IF_ERROR(source_(piece_));
  ended_ = piece_.empty();
  if (piece_.size() > limit_ - offset_)
    return absl::ResourceExhaustedError(
        strCat("the archive is larger than the limit of ", limit_, " bytes"));
  return absl::OkStatus();
}

void BlockStream::consume(size_t size) {
  piece_.remove_prefix(size);
  offset_ += size;
}

absl::Status BlockStream::truncated() const {
  return absl::InvalidArgumentError(strCat("the archive is cut off at offset ", offset_));
}

absl::StatusOr<std::string_view> BlockStream::block() {
  BERTH_RETURN_IF_ERROR(fill());
  if (ended_) return std::string_view();
  if (piece_.size() >= kBlockBytes) {
    const std::string_view whole = piece_.substr(0, kBlockBytes);
    consume(kBlockBytes);
    return whole;
  }
  for (size_t have = 0; have < kBlockBytes;) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view part, take(kBlockBytes - have));
    std::memcpy(assembled_.data() + have, part.data(), part.size());
    have += part.size();
  }
  return std::string_view(assembled_.data(), kBlockBytes);
}

absl::StatusOr<std::string_view> BlockStream::take(uint64_t most) {
  BERTH_RETURN_IF_ERROR(fill());
  if (ended_) return truncated();
  const std::string_view part =
      piece_.substr(0, static_cast<size_t>(std::min<uint64_t>(most, piece_.size())));
  consume(part.size());
  return part;
}

absl::StatusOr<std::string> BlockStream::text(uint64_t size) {
  std::string result;
  while (result.size() < size) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view part, take(size - result.size()));
    result.append(part);
  }
  BERTH_RETURN_IF_ERROR(skipPadding(size));
  return result;
}

absl::Status BlockStream::skip(uint64_t size) {
  while (size > 0) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view part, take(size));
    size -= part.size();
  }
  return absl::OkStatus();
}

absl::Status BlockStream::skipPadding(uint64_t size) {
  for (uint64_t left = paddingAfter(size); left > 0;) {
    BERTH_RETURN_IF_ERROR(fill());
    if (ended_) return absl::OkStatus();
    const size_t part = static_cast<size_t>(std::min<uint64_t>(left, piece_.size()));
    consume(part);
    left -= part;
  }
  return absl::OkStatus();
}

absl::Status BlockStream::drain() {
  for (;;) {
    BERTH_RETURN_IF_ERROR(fill());
    if (ended_) return absl::OkStatus();
    consume(piece_.size());
  }
}

}  // namespace berth::untar
