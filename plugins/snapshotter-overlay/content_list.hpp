// What a layer holds, written down while it is unpacked, so that it can be compared later: a line
// for each thing in its directory, with its kind, mode, owner, size, and checksums of its content
// and of its extended attributes. Times are left out: nothing goes wrong with them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "berth/untar/extract.hpp"
#include "checksum.hpp"

namespace berth::overlay {

// What the layer's record keeps of the list.
struct ContentSummary {
  uint64_t entries = 0;
  uint32_t checksum = 0;  // of the list
  bool operator==(const ContentSummary&) const = default;
};

struct ContentEntry {
  char kind = 'f';  // file, directory, link, character or block device, pipe, socket
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;     // of a file or a link; the number of a device
  uint32_t content = 0;  // checksum of a file's bytes or a link's target
  uint32_t attributes = 0;
  std::string path;  // from the layer's root, which is ""
};

// All of it but the checksum of a file's content, which is the caller's to make. `xattrPath` is a
// path to it by which links are not followed; empty: it has no extended attributes.
absl::StatusOr<ContentEntry> describeEntry(const struct stat& info, std::string path,
                                           const std::string& xattrPath);
// The checksum of a link's target or a file's content.
absl::StatusOr<uint32_t> linkChecksum(int directory, const char* name);

std::string contentListPath(const std::string& directory);

// Writes the list. One thread at a time.
class ContentListWriter final : public untar::ExtractObserver {
 public:
  // Makes the file, which must not exist.
  absl::Status open(const std::string& path);
  void onContent(const untar::DataPiece& piece) override;
  void onFile(const struct stat& info) override;
  absl::Status onFound(const untar::FoundEntry& found, untar::Attributes attributes) override;
  // After the last of them. Nothing is synced.
  absl::StatusOr<ContentSummary> finish();

 private:
  uint32_t checksumOf(ino_t inode);
  absl::Status put(std::string_view text);
  absl::Status flush();

  std::string path_;
  support::Fd file_;
  std::string buffer_;
  Crc32c sum_;
  uint64_t entries_ = 0;
  // Of the file that is being unpacked.
  Crc32c content_;
  uint64_t position_ = 0;
  // By inode; of files that took each other's place the last one counts.
  std::vector<std::pair<ino_t, uint32_t>> checksums_;
  bool sorted_ = false;
};

// Reads a whole list. DATA_LOSS when it is not the one of the summary; NOT_FOUND without one.
absl::StatusOr<std::string> readContentList(const std::string& path, const ContentSummary& summary);
// Takes the first entry off what readContentList() gave; none at its end. DATA_LOSS.
absl::StatusOr<std::optional<ContentEntry>> nextEntry(std::string_view& list);

}  // namespace berth::overlay
