#include "berth/untar/tar_writer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "berth/support/status.hpp"

namespace berth::untar {

using support::strCat;

namespace {

constexpr size_t kBlock = 512;
constexpr size_t kNameBytes = 100;
constexpr uint64_t kLargestId = 07777777;
constexpr uint64_t kLargestNumber = 077777777777;

char typeOf(const Entry& entry) {
  switch (entry.type) {
    case EntryType::kRegular:
      return '0';
    case EntryType::kHardLink:
      return '1';
    case EntryType::kSymlink:
      return '2';
    case EntryType::kCharacterDevice:
      return '3';
    case EntryType::kBlockDevice:
      return '4';
    case EntryType::kDirectory:
      return '5';
    case EntryType::kFifo:
      return '6';
  }
  return '0';
}

// "<length> <key>=<value>\n", the length being that of the whole line, itself included.
void record(std::string& records, std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) {
    length = std::to_string(length).size() + rest;
  }
  records += strCat(length, " ", key, "=", value, "\n");
}

std::string timeText(const timespec& time) {
  int64_t seconds = time.tv_sec;
  int64_t nanoseconds = time.tv_nsec;
  // A fraction has the sign of the whole.
  const bool negative = seconds < 0;
  if (negative && nanoseconds != 0) {
    ++seconds;
    nanoseconds = 1'000'000'000 - nanoseconds;
  }
  char text[64];
  std::snprintf(text, sizeof text, "%s%lld.%09lld", negative ? "-" : "",
                static_cast<long long>(negative ? -seconds : seconds),
                static_cast<long long>(nanoseconds));
  return text;
}

class Block {
 public:
  void text(size_t at, size_t width, std::string_view value) {
    value.copy(bytes_.data() + at, width);
  }
  void octal(size_t at, size_t width, uint64_t value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%0*llo", static_cast<int>(width - 1),
                  static_cast<unsigned long long>(value));
    text(at, width, digits);
  }
  std::string_view sealed() {
    std::memset(bytes_.data() + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : bytes_) sum += static_cast<unsigned char>(c);
    char digits[16];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    std::memcpy(bytes_.data() + 148, digits, 7);
    return {bytes_.data(), bytes_.size()};
  }

 private:
  std::array<char, kBlock> bytes_{};
};

struct Plain {
  std::string_view name;
  std::string_view linkTarget;
  char type = '0';
  uint64_t size = 0;
  uint64_t mode = 0644;
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t modified = 0;
  uint32_t deviceMajor = 0;
  uint32_t deviceMinor = 0;
};

std::string plainHeader(const Plain& header) {
  Block block;
  block.text(0, kNameBytes, header.name);
  block.octal(100, 8, header.mode);
  block.octal(108, 8, header.uid);
  block.octal(116, 8, header.gid);
  block.octal(124, 12, header.size);
  block.octal(136, 12, header.modified);
  block.text(156, 1, std::string_view(&header.type, 1));
  block.text(157, kNameBytes, header.linkTarget);
  block.text(257, 8, std::string_view("ustar\00000", 8));
  block.octal(329, 8, header.deviceMajor);
  block.octal(337, 8, header.deviceMinor);
  return std::string(block.sealed());
}

std::string padding(uint64_t size) {
  return std::string((kBlock - size % kBlock) % kBlock, '\0');
}

// The map of GNU's sparse format 1.0, which stands before the data.
std::string sparseMap(uint64_t size, const std::vector<DataRange>& parts) {
  // A last part of no bytes says where the file ends, as GNU tar writes it.
  const bool tail = parts.empty() || parts.back().position + parts.back().size != size;
  std::string map = strCat(parts.size() + (tail ? 1 : 0), "\n");
  for (const DataRange& part : parts) map += strCat(part.position, "\n", part.size, "\n");
  if (tail) map += strCat(size, "\n0\n");
  return map + padding(map.size());
}

}  // namespace

absl::Status TarWriter::put(std::string_view bytes) {
  written_ += bytes.size();
  return target_(bytes);
}

// Ends the file before: nothing of it may be missing, and it fills its last block.
absl::Status TarWriter::settle() {
  if (owed_ != 0) {
    return absl::InternalError(strCat("the archive's entry before lacks ", owed_, " bytes"));
  }
  const std::string pad = padding(written_);
  return pad.empty() ? absl::OkStatus() : put(pad);
}

absl::Status TarWriter::comment(std::string_view text) {
  std::string records;
  record(records, "comment", text);
  BERTH_RETURN_IF_ERROR(
      put(plainHeader({.name = "pax_global_header", .type = 'g', .size = records.size()})));
  return put(records + padding(records.size()));
}

absl::Status TarWriter::header(const Entry& entry, uint64_t stored, std::string records) {
  BERTH_RETURN_IF_ERROR(settle());
  std::string name = entry.name;
  if (entry.type == EntryType::kDirectory && !name.ends_with('/')) name += '/';
  if (name.size() > kNameBytes) record(records, "path", name);
  if (entry.linkTarget.size() > kNameBytes) record(records, "linkpath", entry.linkTarget);
  if (stored > kLargestNumber) record(records, "size", strCat(stored));
  if (entry.uid > kLargestId) record(records, "uid", strCat(entry.uid));
  if (entry.gid > kLargestId) record(records, "gid", strCat(entry.gid));
  const bool plainTime = entry.modified.tv_sec >= 0 && entry.modified.tv_nsec == 0 &&
                         static_cast<uint64_t>(entry.modified.tv_sec) <= kLargestNumber;
  if (!plainTime) record(records, "mtime", timeText(entry.modified));
  for (const Xattr& xattr : entry.xattrs) {
    record(records, strCat("SCHILY.xattr.", xattr.name), xattr.value);
  }
  if (!records.empty()) {
    BERTH_RETURN_IF_ERROR(
        put(plainHeader({.name = "pax_header", .type = 'x', .size = records.size()})));
    BERTH_RETURN_IF_ERROR(put(records + padding(records.size())));
  }
  return put(plainHeader(
      {.name = std::string_view(name).substr(0, kNameBytes),
       .linkTarget = std::string_view(entry.linkTarget).substr(0, kNameBytes),
       .type = typeOf(entry),
       .size = stored > kLargestNumber ? 0 : stored,
       .mode = entry.mode & 07777u,
       .uid = entry.uid > kLargestId ? 0 : entry.uid,
       .gid = entry.gid > kLargestId ? 0 : entry.gid,
       .modified = plainTime ? static_cast<uint64_t>(entry.modified.tv_sec)
                             : static_cast<uint64_t>(std::max<int64_t>(
                                   0, std::min<int64_t>(entry.modified.tv_sec, kLargestNumber))),
       .deviceMajor = entry.deviceMajor,
       .deviceMinor = entry.deviceMinor}));
}

absl::Status TarWriter::add(const Entry& entry) {
  const uint64_t size = entry.type == EntryType::kRegular ? entry.size : 0;
  BERTH_RETURN_IF_ERROR(header(entry, size, {}));
  owed_ = size;
  return absl::OkStatus();
}

absl::Status TarWriter::addSparse(const Entry& entry, const std::vector<DataRange>& parts) {
  const std::string map = sparseMap(entry.size, parts);
  uint64_t stored = 0;
  for (const DataRange& part : parts) stored += part.size;
  std::string records;
  record(records, "GNU.sparse.major", "1");
  record(records, "GNU.sparse.minor", "0");
  record(records, "GNU.sparse.name", entry.name);
  record(records, "GNU.sparse.realsize", strCat(entry.size));
  BERTH_RETURN_IF_ERROR(header(entry, map.size() + stored, std::move(records)));
  BERTH_RETURN_IF_ERROR(put(map));
  owed_ = stored;
  return absl::OkStatus();
}

absl::Status TarWriter::data(std::string_view bytes) {
  if (bytes.size() > owed_) {
    return absl::InternalError(
        strCat("the archive's entry has ", bytes.size() - owed_, " bytes too many"));
  }
  owed_ -= bytes.size();
  return put(bytes);
}

absl::Status TarWriter::finish() {
  BERTH_RETURN_IF_ERROR(settle());
  return put(std::string(2 * kBlock, '\0'));
}

}  // namespace berth::untar
