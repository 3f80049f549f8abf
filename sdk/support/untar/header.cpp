#include "header.hpp"

#include <algorithm>
#include <limits>

#include "berth/support/status.hpp"
#include "numbers.hpp"

namespace berth::untar {
namespace {

using support::strCat;

struct Field {
  size_t offset;
  size_t size;
  std::string_view of(std::string_view block) const { return block.substr(offset, size); }
};

constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kModified{136, 12};
constexpr Field kChecksum{148, 8};
constexpr size_t kType = 156;
constexpr Field kLinkTarget{157, 100};
constexpr Field kMagic{257, 8};
constexpr Field kDeviceMajor{329, 8};
constexpr Field kDeviceMinor{337, 8};
constexpr Field kPrefix{345, 155};
constexpr Field kStarPrefix{345, 131};
constexpr Field kGnuAccessed{345, 12};
constexpr Field kGnuChanged{357, 12};
constexpr Field kStarTrailer{508, 4};

std::string_view untilNul(std::string_view field) {
  return field.substr(0, field.find('\0'));
}

bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

absl::Status verifyChecksum(std::string_view block) {
  const std::optional<int64_t> written = fieldNumber(kChecksum.of(block));
  int64_t plain = 0;
  int64_t withSign = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    // The field itself counts as spaces.
    const bool inField = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    const char byte = inField ? ' ' : block[i];
    plain += static_cast<unsigned char>(byte);
    withSign += static_cast<signed char>(byte);
  }
  if (written && (*written == plain || *written == withSign)) return absl::OkStatus();
  return absl::InvalidArgumentError("not a tar header: the checksum is wrong");
}

HeaderFormat formatOf(std::string_view block) {
  const std::string_view magic = kMagic.of(block);
  if (magic == std::string_view("ustar  \0", 8)) return HeaderFormat::kGnu;
  if (!magic.starts_with(std::string_view("ustar\0", 6))) return HeaderFormat::kV7;
  return kStarTrailer.of(block) == std::string_view("tar\0", 4) ? HeaderFormat::kStar
                                                                : HeaderFormat::kUstar;
}

// GNU's headers have times where others have the prefix; some writers put a prefix there all the
// same, which shows when the fields are no numbers.
std::string_view gnuPrefix(std::string_view block) {
  if (fieldNumber(kGnuAccessed.of(block)) && fieldNumber(kGnuChanged.of(block))) return {};
  const std::string_view prefix = untilNul(kPrefix.of(block));
  return isAscii(prefix) ? prefix : std::string_view();
}

std::string fullName(std::string_view block, HeaderFormat format) {
  std::string_view prefix;
  if (format == HeaderFormat::kUstar) prefix = untilNul(kPrefix.of(block));
  if (format == HeaderFormat::kStar) prefix = untilNul(kStarPrefix.of(block));
  if (format == HeaderFormat::kGnu) prefix = gnuPrefix(block);
  const std::string_view name = untilNul(kName.of(block));
  return prefix.empty() ? std::string(name) : strCat(prefix, "/", name);
}

absl::Status readNumber(std::string_view block, const Field& field, std::string_view what,
                        int64_t minimum, int64_t maximum, int64_t& value) {
  const std::optional<int64_t> number = fieldNumber(field.of(block));
  if (!number) return absl::InvalidArgumentError(strCat("the header's ", what, " is no number"));
  if (*number < minimum || *number > maximum)
    return absl::InvalidArgumentError(strCat("the header's ", what, " is out of range: ", *number));
  value = *number;
  return absl::OkStatus();
}

absl::Status readDevice(std::string_view block, Header& header) {
  constexpr int64_t kMaximum = std::numeric_limits<uint32_t>::max();
  int64_t value = 0;
  BERTH_RETURN_IF_ERROR(readNumber(block, kDeviceMajor, "device major", 0, kMaximum, value));
  header.deviceMajor = static_cast<uint32_t>(value);
  BERTH_RETURN_IF_ERROR(readNumber(block, kDeviceMinor, "device minor", 0, kMaximum, value));
  header.deviceMinor = static_cast<uint32_t>(value);
  return absl::OkStatus();
}

}  // namespace

bool isZeroBlock(std::string_view block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
}

absl::StatusOr<Header> parseHeader(std::string_view block) {
  BERTH_RETURN_IF_ERROR(verifyChecksum(block));
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMaximum = std::numeric_limits<int64_t>::max();
  Header header;
  header.format = formatOf(block);
  header.type = block[kType];
  header.name = fullName(block, header.format);
  header.linkTarget = std::string(untilNul(kLinkTarget.of(block)));
  int64_t value = 0;
  BERTH_RETURN_IF_ERROR(readNumber(block, kMode, "mode", 0, kMaximum, value));
  header.mode = static_cast<uint32_t>(value & 07777);
  BERTH_RETURN_IF_ERROR(readNumber(block, kUid, "user id", 0, kMaximum, value));
  header.uid = static_cast<uint64_t>(value);
  BERTH_RETURN_IF_ERROR(readNumber(block, kGid, "group id", 0, kMaximum, value));
  header.gid = static_cast<uint64_t>(value);
  BERTH_RETURN_IF_ERROR(readNumber(block, kSize, "size", 0, kMaximum, value));
  header.size = static_cast<uint64_t>(value);
  BERTH_RETURN_IF_ERROR(readNumber(block, kModified, "time", kLowest, kMaximum, header.modified));
  if (header.type == '3' || header.type == '4') BERTH_RETURN_IF_ERROR(readDevice(block, header));
  return header;
}

}  // namespace berth::untar
