#include "berth/untar/tar_reader.hpp"

#include <algorithm>
#include <limits>

#include <absl/strings/escaping.h>

#include "berth/support/status.hpp"
#include "block_stream.hpp"
#include "header.hpp"
#include "pax.hpp"
#include "sparse.hpp"

namespace berth::untar {

using support::annotate;
using support::strCat;

std::string inQuotes(std::string_view name) {
  constexpr size_t kMost = 256;
  const std::string text = absl::CHexEscape(support::toAbsl(name.substr(0, kMost)));
  return strCat("\"", text, name.size() > kMost ? "…\"" : "\"");
}

namespace {

// What headers in front of an entry say about it.
struct Pending {
  std::optional<std::string> longName;
  std::optional<std::string> longLink;
  PaxRecords records;
  bool entryMustFollow = false;
};

absl::StatusOr<EntryType> entryType(const Header& header, const std::string& name) {
  switch (header.type) {
    case '\0':
    case '0':
    case '7':  // contiguous
      // V7 had no directories: a slash at the end makes one.
      return name.ends_with('/') ? EntryType::kDirectory : EntryType::kRegular;
    case 'S':
      return EntryType::kRegular;
    case '1':
      return EntryType::kHardLink;
    case '2':
      return EntryType::kSymlink;
    case '3':
      return EntryType::kCharacterDevice;
    case '4':
      return EntryType::kBlockDevice;
    case '5':
    case 'D':  // GNU's directory with a listing, which is skipped
      return EntryType::kDirectory;
    case '6':
      return EntryType::kFifo;
    default:
      return absl::InvalidArgumentError(strCat("the entry's type ",
                                               inQuotes(std::string_view(&header.type, 1)),
                                               " is not one that an image layer can have"));
  }
}

// Header-only types carry no data whatever their size says, as with other readers of layers.
bool hasData(const Header& header) {
  return std::string_view(
             "\0"
             "07SD",
             5)
             .find(header.type) != std::string_view::npos;
}

std::string untilNul(std::string text) {
  const size_t end = text.find('\0');
  if (end != std::string::npos) text.resize(end);
  return text;
}

absl::Status limited(uint64_t size, uint64_t limit) {
  if (size <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("the extended header has ", size, " bytes, more than the limit of ", limit));
}

}  // namespace

class TarReader::Impl {
 public:
  Impl(PieceSource source, const ReaderLimits& limits)
      : limits_(limits), stream_(std::move(source), limits.archiveBytes) {}

  absl::StatusOr<bool> next(Entry& entry) {
    if (ended_) return false;
    if (absl::Status status = finishEntry(); !status.ok()) return located(status);
    entry = Entry();
    entry.offset = entryOffset_ = stream_.offset();
    name_.clear();
    absl::StatusOr<bool> found = readEntry(entry);
    if (!found.ok()) return located(found.status());
    return found;
  }

  absl::StatusOr<DataPiece> nextData() {
    while (chunk_ < map_.size() && chunkDone_ == map_[chunk_].size) {
      ++chunk_;
      chunkDone_ = 0;
    }
    if (chunk_ == map_.size()) return DataPiece{};
    const SparseChunk& chunk = map_[chunk_];
    absl::StatusOr<std::string_view> bytes = stream_.take(chunk.size - chunkDone_);
    if (!bytes.ok()) return located(bytes.status());
    const DataPiece piece{.position = chunk.offset + chunkDone_, .bytes = *bytes};
    chunkDone_ += bytes->size();
    stored_ -= bytes->size();
    return piece;
  }

  uint64_t offset() const { return stream_.offset(); }

 private:
  absl::Status located(const absl::Status& status) const {
    // What the source reports (cancellation, a digest that is wrong) stands for itself.
    if (!absl::IsInvalidArgument(status)) return status;
    return annotate(status, name_.empty() ? strCat("tar archive, header at offset ", entryOffset_)
                                          : strCat("tar archive, entry ", inQuotes(name_),
                                                   " at offset ", entryOffset_));
  }

  // Goes past what is left of the current entry.
  absl::Status finishEntry() {
    BERTH_RETURN_IF_ERROR(stream_.skip(stored_));
    BERTH_RETURN_IF_ERROR(stream_.skipPadding(padded_));
    setData({}, 0);
    return absl::OkStatus();
  }

  void setData(SparseMap map, uint64_t stored) {
    map_ = std::move(map);
    chunk_ = 0;
    chunkDone_ = 0;
    stored_ = stored;
    padded_ = stored;
  }

  absl::StatusOr<bool> readEntry(Entry& entry) {
    Pending pending;
    pending.records = global_;
    for (;;) {
      BERTH_ASSIGN_OR_RETURN(const std::string_view block, stream_.block());
      const bool zeros = !block.empty() && isZeroBlock(block);
      if (pending.entryMustFollow && (block.empty() || zeros))
        return absl::InvalidArgumentError(
            "the archive ends where an extended header's entry must be");
      if (block.empty()) return end();
      if (zeros) return endMark();
      BERTH_ASSIGN_OR_RETURN(const Header header, parseHeader(block));
      BERTH_ASSIGN_OR_RETURN(const bool extended, readExtension(header, pending));
      if (extended) continue;
      // GNU's volume label is a name for people.
      if (header.type == 'V') {
        BERTH_RETURN_IF_ERROR(stream_.skip(header.size));
        BERTH_RETURN_IF_ERROR(stream_.skipPadding(header.size));
        continue;
      }
      BERTH_RETURN_IF_ERROR(fill(block, header, pending, entry));
      return true;
    }
  }

  bool end() {
    ended_ = true;
    return false;
  }

  // After one block of zeros: another one, or the end of the source.
  absl::StatusOr<bool> endMark() {
    BERTH_ASSIGN_OR_RETURN(const std::string_view block, stream_.block());
    if (!block.empty() && !isZeroBlock(block))
      return absl::InvalidArgumentError("the archive goes on after a block of zeros");
    BERTH_RETURN_IF_ERROR(stream_.drain());
    return end();
  }

  // Takes a header that only tells about the next one.
  absl::StatusOr<bool> readExtension(const Header& header, Pending& pending) {
    if (std::string_view("xgLK").find(header.type) == std::string_view::npos) return false;
    BERTH_RETURN_IF_ERROR(limited(header.size, limits_.metadataBytes));
    BERTH_ASSIGN_OR_RETURN(std::string text, stream_.text(header.size));
    pending.entryMustFollow = pending.entryMustFollow || header.type != 'g';
    if (header.type == 'L') {
      pending.longName = untilNul(std::move(text));
    } else if (header.type == 'K') {
      pending.longLink = untilNul(std::move(text));
    } else if (header.type == 'x') {
      pending.records = global_;
      BERTH_RETURN_IF_ERROR(parsePaxRecords(text, pending.records));
    } else {
      globalBytes_ += header.size;
      BERTH_RETURN_IF_ERROR(limited(globalBytes_, limits_.metadataBytes));
      BERTH_RETURN_IF_ERROR(parsePaxRecords(text, global_));
      if (const uint64_t bytes = bytesOf(global_); bytes > limits_.globalBytes)
        return absl::InvalidArgumentError(strCat("the global extended headers say ", bytes,
                                                 " bytes of each entry, more than the limit of ",
                                                 limits_.globalBytes));
      pending.records = global_;
    }
    return true;
  }

  absl::Status fill(std::string_view block, const Header& header, Pending& pending, Entry& entry) {
    PaxRecords& records = pending.records;
    name_ = records.sparseName ? *records.sparseName
            : records.path     ? *records.path
                               : pending.longName.value_or(header.name);
    if (name_.empty()) return absl::InvalidArgumentError("the entry has no name");
    entry.name = name_;
    entry.linkTarget = records.linkTarget ? std::move(*records.linkTarget)
                                          : pending.longLink.value_or(header.linkTarget);
    BERTH_ASSIGN_OR_RETURN(entry.type, entryType(header, name_));
    entry.mode = header.mode;
    entry.uid = records.uid.value_or(header.uid);
    entry.gid = records.gid.value_or(header.gid);
    entry.modified = records.modified.value_or(timespec{.tv_sec = header.modified, .tv_nsec = 0});
    entry.deviceMajor = header.deviceMajor;
    entry.deviceMinor = header.deviceMinor;
    for (auto& [name, value] : records.xattrs) entry.xattrs.push_back({name, std::move(value)});
    if (hasData(header)) return fillData(block, header, records, entry);
    return absl::OkStatus();
  }

  absl::Status fillData(std::string_view block, const Header& header, PaxRecords& records,
                        Entry& entry) {
    uint64_t stored = records.size.value_or(header.size);
    if (header.type == 'S') {
      BERTH_ASSIGN_OR_RETURN(SparseMap map, readOldGnuMap(block, stream_, entry.size));
      return setSparse(std::move(map), stored, entry);
    }
    // A directory's listing is data that nobody reads.
    if (entry.type != EntryType::kRegular) {
      setData({}, stored);
      return absl::OkStatus();
    }
    if (records.sparseMajor || records.sparseMap) return fillSparse(records, stored, entry);
    entry.size = stored;
    setData({{0, stored}}, stored);
    return absl::OkStatus();
  }

  // pax formats 0.0, 0.1 and 1.0.
  absl::Status fillSparse(PaxRecords& records, uint64_t stored, Entry& entry) {
    const uint64_t major = records.sparseMajor.value_or(0);
    const uint64_t minor = records.sparseMinor.value_or(0);
    if (!(major == 0 && minor <= 1) && !(major == 1 && minor == 0))
      return absl::InvalidArgumentError(
          strCat("the sparse file is in the unknown format ", major, ".", minor));
    if (!records.sparseSize)
      return absl::InvalidArgumentError("the sparse file's record GNU.sparse.size is missing");
    entry.size = *records.sparseSize;
    SparseMap map = records.sparseMap ? std::move(*records.sparseMap) : SparseMap();
    if (major == 1) {
      BERTH_ASSIGN_OR_RETURN(map, readSparseMap(stream_, stored));
    }
    return setSparse(std::move(map), stored, entry);
  }

  absl::Status setSparse(SparseMap map, uint64_t stored, Entry& entry) {
    BERTH_RETURN_IF_ERROR(checkSparseMap(map, entry.size, stored));
    entry.sparse = true;
    setData(std::move(map), stored);
    return absl::OkStatus();
  }

  const ReaderLimits limits_;
  BlockStream stream_;
  PaxRecords global_;
  uint64_t globalBytes_ = 0;
  bool ended_ = false;

  std::string name_;  // of the current entry, for messages
  uint64_t entryOffset_ = 0;
  SparseMap map_;           // where the current entry's data belongs
  size_t chunk_ = 0;        // the part of it that is being read
  uint64_t chunkDone_ = 0;  // how much of that part has been read
  uint64_t stored_ = 0;     // data still in the archive
  uint64_t padded_ = 0;     // size of the data that is padded to a block
};

TarReader::TarReader(PieceSource source, const ReaderLimits& limits)
    : impl_(std::make_unique<Impl>(std::move(source), limits)) {}
TarReader::~TarReader() = default;
absl::StatusOr<bool> TarReader::next(Entry& entry) {
  return impl_->next(entry);
}
absl::StatusOr<DataPiece> TarReader::nextData() {
  return impl_->nextData();
}
uint64_t TarReader::offset() const {
  return impl_->offset();
}

}  // namespace berth::untar
