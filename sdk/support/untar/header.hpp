// One header block, taken apart.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::untar {

enum class HeaderFormat { kV7, kUstar, kStar, kGnu };

struct Header {
  HeaderFormat format = HeaderFormat::kV7;
  char type = '0';
  std::string name;
  std::string linkTarget;
  uint64_t size = 0;
  uint32_t mode = 0;
  uint64_t uid = 0;
  uint64_t gid = 0;
  int64_t modified = 0;
  uint32_t deviceMajor = 0;
  uint32_t deviceMinor = 0;
};

bool isZeroBlock(std::string_view block);

// INVALID_ARGUMENT when the checksum (POSIX's, or the signed one of old writers) or a number is
// wrong.
absl::StatusOr<Header> parseHeader(std::string_view block);

}  // namespace berth::untar
