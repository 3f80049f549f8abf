#include "archive.hpp"

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <vector>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/tar_reader.hpp"

namespace berth::layout {

using support::strCat;

namespace {

constexpr size_t kMostFiles = 100'000;
constexpr size_t kMostLinks = 16;
constexpr uint64_t kBlock = 512;
// Of the archive, read for one entry's headers: they take no more.
constexpr uint64_t kMostHeaders = 4u << 20;
constexpr size_t kPiece = 16u << 10;

// Without "." and empty parts; ".." takes a part away, and there is nothing above the archive.
std::string cleanName(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    begin = end + 1;
  }
  std::string clean;
  for (const std::string_view part : parts) clean += strCat(clean.empty() ? "" : "/", part);
  return clean;
}

struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  int64_t modified = 0;  // nanoseconds
  bool operator==(const Identity&) const = default;
};

struct Place {
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct Member {
  Place place;
  std::string link;  // the name it stands for; empty: it is a file
};

using Members = std::map<std::string, Member, std::less<>>;

absl::StatusOr<std::shared_ptr<const support::Fd>> openRegular(const std::string& path,
                                                               Identity& identity) {
  BERTH_ASSIGN_OR_RETURN(support::Fd file,
                         support::openFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return support::errnoStatus(errno, strCat("stat ", path));
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(strCat(path, " is neither a folder nor a regular file"));
  constexpr int64_t kSecond = 1'000'000'000;
  identity = {info.st_dev, info.st_ino, info.st_size,
              info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec};
  return std::make_shared<const support::Fd>(std::move(file));
}

class Archive : public Files {
 public:
  Archive(std::string path, std::string location, Identity identity, Members members)
      : path_(std::move(path)),
        location_(std::move(location)),
        identity_(identity),
        members_(std::move(members)) {}

  const std::string& location() const override { return location_; }
  size_t bytes() const override {
    constexpr size_t kNode = 64;
    size_t bytes = sizeof *this;
    for (const auto& [name, member] : members_)
      bytes += kNode + sizeof(Members::value_type) + name.size() + member.link.size();
    return bytes;
  }

  absl::StatusOr<Content> open(const std::string& name) const override {
    BERTH_ASSIGN_OR_RETURN(const Place place, find(cleanName(name)));
    Identity identity;
    BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const support::Fd> file, openRegular(path_, identity));
    if (identity != identity_)
      return absl::AbortedError(strCat(path_, " has changed while it was being read"));
    return Content{std::move(file), place.offset, place.size};
  }

 private:
  absl::StatusOr<Place> find(const std::string& name) const {
    std::string at = name;
    for (size_t links = 0; links <= kMostLinks; ++links) {
      const auto found = members_.find(at);
      if (found == members_.end())
        return absl::NotFoundError(strCat(path_, " has no file ", untar::inQuotes(name)));
      if (found->second.link.empty()) return found->second.place;
      at = found->second.link;
    }
    return absl::InvalidArgumentError(
        strCat(path_, ": ", untar::inQuotes(name), " is a link of links without an end"));
  }

  const std::string path_;
  const std::string location_;
  const Identity identity_;
  const Members members_;
};

// The archive from `offset` on, no further than headers reach.
untar::PieceSource sourceAt(const Content& archive, uint64_t offset, std::vector<char>& buffer) {
  return [&archive, &buffer, offset, given = uint64_t{0}](std::string_view& piece) mutable {
    Content rest = archive;
    rest.offset = offset + given;
    rest.size = std::min<uint64_t>(
        {kPiece, kMostHeaders - given, archive.size - std::min(archive.size, rest.offset)});
    auto head = readHead(rest, kPiece);
    if (!head.ok()) return head.status();
    buffer.assign(head->begin(), head->end());
    piece = {buffer.data(), buffer.size()};
    given += piece.size();
    return absl::OkStatus();
  };
}

absl::Status compressed(const Content& archive, const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string_view compression, compressionOf(archive));
  if (compression.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat(path, " is compressed with ", compression, " as a whole; decompress it first"));
}

absl::StatusOr<Members> index(const Content& archive, const Check& check) {
  Members members;
  std::vector<char> buffer;
  size_t entries = 0;
  for (uint64_t at = 0;;) {
    BERTH_RETURN_IF_ERROR(check());
    untar::TarReader reader(sourceAt(archive, at, buffer));
    untar::Entry entry;
    BERTH_ASSIGN_OR_RETURN(const bool more, reader.next(entry));
    if (!more) break;
    if (++entries > kMostFiles)
      return absl::ResourceExhaustedError(
          strCat("it has more than ", kMostFiles, " files, which no image has"));
    Member member{{at + reader.offset(), entry.size}, {}};
    const std::string name = cleanName(entry.name);
    if (entry.type == untar::EntryType::kRegular && entry.sparse)
      return absl::InvalidArgumentError(
          strCat("its file ", untar::inQuotes(entry.name),
                 " is written as a sparse one; write the archive without that"));
    if (entry.type == untar::EntryType::kSymlink) {
      const size_t slash = name.rfind('/');
      const std::string parent = slash == std::string::npos ? "" : name.substr(0, slash);
      member.link = cleanName(strCat(parent, "/", entry.linkTarget));
    }
    if (entry.type == untar::EntryType::kHardLink) member.link = cleanName(entry.linkTarget);
    const uint64_t end = member.place.offset + entry.size;
    if (end < member.place.offset || end > archive.size)
      return absl::InvalidArgumentError(
          strCat("it is cut off in the file ", untar::inQuotes(entry.name)));
    const bool isLink = !member.link.empty();
    // Of several of one name the last counts, as when it is unpacked.
    if (isLink || entry.type == untar::EntryType::kRegular) members[name] = std::move(member);
    at = (end + kBlock - 1) / kBlock * kBlock;
  }
  return members;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Files>> openArchive(const std::string& path, const Check& check) {
  Identity identity;
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const support::Fd> file, openRegular(path, identity));
  BERTH_ASSIGN_OR_RETURN(std::string location, locationOf(*file));
  const Content archive{std::move(file), 0, static_cast<uint64_t>(identity.size)};
  BERTH_RETURN_IF_ERROR(compressed(archive, path));
  auto members = index(archive, check);
  if (!members.ok()) return support::annotate(members.status(), path);
  return std::unique_ptr<Files>(
      new Archive(path, std::move(location), identity, *std::move(members)));
}

}  // namespace berth::layout
