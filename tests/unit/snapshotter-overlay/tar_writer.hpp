// Archives made byte by byte, so that tests can also make what no tar program would write.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/untar/tar_reader.hpp"

namespace berth::test {

struct TarHeader {
  std::string name;
  char type = '0';
  uint64_t size = 0;
  uint32_t mode = 0644;
  uint64_t uid = 0;
  uint64_t gid = 0;
  int64_t modified = 0;
  std::string linkTarget;
  unsigned deviceMajor = 0;
  unsigned deviceMinor = 0;
  std::string magic = std::string(
      "ustar\0"
      "00",
      8);
  std::string prefix;
};

enum class ChecksumKind { kUnsigned, kSigned };

class TarWriter {
 public:
  using Records = std::vector<std::pair<std::string, std::string>>;

  // A number as octal text, or in base-256 when it does not fit.
  static std::string number(int64_t value, size_t width) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", static_cast<int>(width - 1),
                  static_cast<unsigned long long>(value));
    if (value >= 0 && std::string_view(text).size() == width - 1) return text;
    std::string bytes(width, value < 0 ? '\xff' : '\0');
    uint64_t rest = static_cast<uint64_t>(value);
    for (size_t i = 0; i < 8 && i < width; ++i, rest >>= 8)
      bytes[width - 1 - i] = static_cast<char>(rest & 0xff);
    bytes[0] = static_cast<char>(bytes[0] | '\x80');
    return bytes;
  }

  static std::string block(const TarHeader& header,
                           ChecksumKind checksum = ChecksumKind::kUnsigned) {
    std::string bytes(512, '\0');
    const auto put = [&bytes](size_t offset, size_t width, std::string_view text) {
      std::copy_n(text.begin(), std::min(width, text.size()),
                  bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    };
    put(0, 100, header.name);
    put(100, 8, number(header.mode, 8));
    put(108, 8, number(static_cast<int64_t>(header.uid), 8));
    put(116, 8, number(static_cast<int64_t>(header.gid), 8));
    put(124, 12, number(static_cast<int64_t>(header.size), 12));
    put(136, 12, number(header.modified, 12));
    bytes[156] = header.type;
    put(157, 100, header.linkTarget);
    put(257, 8, header.magic);
    put(329, 8, number(header.deviceMajor, 8));
    put(337, 8, number(header.deviceMinor, 8));
    put(345, 155, header.prefix);
    seal(bytes, checksum);
    return bytes;
  }

  static void seal(std::string& bytes, ChecksumKind checksum = ChecksumKind::kUnsigned) {
    bytes.replace(148, 8, 8, ' ');
    int64_t sum = 0;
    for (const char c : bytes)
      sum += checksum == ChecksumKind::kUnsigned ? static_cast<unsigned char>(c)
                                                 : static_cast<signed char>(c);
    char text[32];
    std::snprintf(text, sizeof text, "%06llo", static_cast<unsigned long long>(sum));
    bytes.replace(148, 7, std::string(text, 7));
  }

  static std::string padded(std::string data) {
    data.resize((data.size() + 511) / 512 * 512, '\0');
    return data;
  }

  static std::string record(const std::string& key, const std::string& value) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (length != rest + std::to_string(length).size())
      length = rest + std::to_string(length).size();
    return std::to_string(length) + " " + key + "=" + value + "\n";
  }

  TarWriter& raw(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }
  TarWriter& entry(TarHeader header, std::string data = {}) {
    if (!data.empty()) header.size = data.size();
    return raw(block(header)).raw(padded(std::move(data)));
  }
  TarWriter& file(const std::string& name, const std::string& data, uint32_t mode = 0644) {
    return entry({.name = name, .mode = mode}, data);
  }
  TarWriter& directory(const std::string& name, uint32_t mode = 0755) {
    return entry({.name = name, .type = '5', .mode = mode});
  }
  TarWriter& symlink(const std::string& name, const std::string& target) {
    return entry({.name = name, .type = '2', .mode = 0777, .linkTarget = target});
  }
  TarWriter& hardLink(const std::string& name, const std::string& target) {
    return entry({.name = name, .type = '1', .linkTarget = target});
  }
  TarWriter& pax(const Records& records, char type = 'x') {
    std::string data;
    for (const auto& [key, value] : records) data += record(key, value);
    return entry({.name = "PaxHeaders/entry", .type = type}, data);
  }
  TarWriter& gnuLong(char type, const std::string& text) {
    return entry({.name = "././@LongLink", .type = type, .magic = std::string("ustar  \0", 8)},
                 text + std::string(1, '\0'));
  }
  // Two blocks of zeros.
  std::string finish() const { return bytes_ + std::string(1024, '\0'); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// The archive in pieces of `size` bytes.
inline untar::PieceSource piecesOf(std::string_view archive, size_t size = 1u << 20) {
  return [archive, size](std::string_view& piece) mutable {
    piece = archive.substr(0, size);
    archive.remove_prefix(piece.size());
    return absl::OkStatus();
  };
}

struct ReadEntry {
  untar::Entry entry;
  std::string data;  // with zeros for holes
};

// All entries with their data.
inline absl::StatusOr<std::vector<ReadEntry>> readAll(std::string_view archive,
                                                      size_t pieceSize = 1u << 20) {
  untar::TarReader reader(piecesOf(archive, pieceSize));
  std::vector<ReadEntry> entries;
  for (;;) {
    ReadEntry read;
    const absl::StatusOr<bool> more = reader.next(read.entry);
    if (!more.ok()) return more.status();
    if (!*more) return entries;
    for (;;) {
      const absl::StatusOr<untar::DataPiece> piece = reader.nextData();
      if (!piece.ok()) return piece.status();
      if (piece->bytes.empty()) break;
      read.data.resize(std::max<size_t>(read.data.size(), piece->position), '\0');
      read.data.append(piece->bytes);
    }
    if (read.entry.sparse) read.data.resize(read.entry.size, '\0');
    entries.push_back(std::move(read));
  }
}

}  // namespace berth::test
