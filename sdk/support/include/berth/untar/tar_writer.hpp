// Writes tar archives (POSIX.1-2017, "pax Interchange Format") piece by piece. What the older form
// of a header cannot hold goes into an extended one: long names, large numbers, parts of seconds,
// extended attributes, holes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "berth/untar/tar_reader.hpp"

namespace berth::untar {

// Takes the next bytes of the archive; a failure ends the writing and is handed on as it is.
using PieceTarget = std::function<absl::Status(std::string_view piece)>;

// A part of a file that is not a hole.
struct DataRange {
  uint64_t position = 0;
  uint64_t size = 0;
};

// One thread at a time. After a failure it is of no more use.
class TarWriter {
 public:
  explicit TarWriter(PieceTarget target) : target_(std::move(target)) {}

  // A comment for the whole archive, which readers skip. First of all, at most once.
  absl::Status comment(std::string_view text);
  // A header. Of a regular file exactly `entry.size` bytes follow through data(); `entry.offset`
  // and `entry.sparse` are not looked at.
  absl::Status add(const Entry& entry);
  // A regular file with holes: of its `entry.size` bytes only those in `parts` (ascending, apart
  // from each other, within the file) follow through data().
  absl::Status addSparse(const Entry& entry, const std::vector<DataRange>& parts);
  // INTERNAL when it is more than was announced.
  absl::Status data(std::string_view bytes);
  // The end. INTERNAL while bytes are owed.
  absl::Status finish();

  uint64_t written() const { return written_; }

 private:
  absl::Status header(const Entry& entry, uint64_t stored, std::string records);
  absl::Status put(std::string_view bytes);
  absl::Status settle();

  PieceTarget target_;
  uint64_t written_ = 0;
  uint64_t owed_ = 0;  // of the current file's data
};

}  // namespace berth::untar
