// A streaming reader of tar archives: POSIX ustar and pax (POSIX.1-2017, "pax Interchange Format"),
// GNU tar, star and V7. It trusts nothing it reads: names are bytes, sizes are bounded, and every
// error is INVALID_ARGUMENT and says where in the archive it stands.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::untar {

// Lends the next bytes of the archive, valid until it is called again; an empty piece is the end.
// Pieces may have any size. A failure ends the reading and is handed on as it is.
using PieceSource = std::function<absl::Status(std::string_view& piece)>;

enum class EntryType {
  kRegular,
  kDirectory,
  kSymlink,
  kHardLink,
  kCharacterDevice,
  kBlockDevice,
  kFifo,
};

struct Xattr {
  std::string name;   // with its namespace: "security.capability"
  std::string value;  // bytes
  bool operator==(const Xattr&) const = default;
};

struct Entry {
  EntryType type = EntryType::kRegular;
  std::string name;        // as in the archive, never empty, without NUL
  std::string linkTarget;  // of links, without NUL
  uint64_t size = 0;       // of a regular file, holes included
  uint32_t mode = 0;       // permission, set-id and sticky bits
  uint64_t uid = 0;
  uint64_t gid = 0;
  timespec modified = {};
  uint32_t deviceMajor = 0;
  uint32_t deviceMinor = 0;
  std::vector<Xattr> xattrs;  // sorted by name, each once
  bool sparse = false;        // what no DataPiece covers is a hole
  uint64_t offset = 0;        // of the entry's first header in the archive
};

// Content of a file; `bytes` are lent until the reader is used again, empty at the end.
struct DataPiece {
  uint64_t position = 0;  // in the file
  std::string_view bytes;
};

struct ReaderLimits {
  uint64_t archiveBytes = UINT64_MAX;  // RESOURCE_EXHAUSTED past them
  uint64_t metadataBytes = 1u << 20;   // of one extended header, and of all global ones together
  // Of what global ones say, which each entry then has: one of a single block could otherwise take
  // a megabyte of the disk, or as long as one with a map of a thousand parts.
  uint64_t globalBytes = 4u << 10;
};

// One thread at a time. Memory is bounded by the limits, whatever the archive says.
class TarReader {
 public:
  explicit TarReader(PieceSource source, const ReaderLimits& limits = {});
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;
  ~TarReader();

  // Goes to the next entry, past what is left of the current one. False at the end of the archive;
  // then the source has been read to its end, padding and all. The archive ends with two blocks of
  // zeros, or where the source ends between two entries.
  absl::StatusOr<bool> next(Entry& entry);

  // The next piece of the current entry's content, in ascending positions.
  absl::StatusOr<DataPiece> nextData();

  // Bytes of the archive read so far.
  uint64_t offset() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A name for an error message: quoted, unprintable bytes escaped, shortened.
std::string inQuotes(std::string_view name);

}  // namespace berth::untar
