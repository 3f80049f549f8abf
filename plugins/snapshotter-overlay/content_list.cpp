#include "content_list.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::strCat;

namespace {

constexpr std::string_view kHeader = "berth-layer-content 1\n";
constexpr size_t kBufferBytes = 64u << 10;
constexpr size_t kLongestList = size_t{2} << 30;
constexpr size_t kLongestAttribute = 64u << 10;

char kindOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'f';
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'l';
    case S_IFCHR:
      return 'c';
    case S_IFBLK:
      return 'b';
    case S_IFIFO:
      return 'p';
    default:
      return 's';
  }
}

// What others set of their own accord: the host, or the kernel when it mounts.
bool isForeign(std::string_view name) {
  if (name == "trusted.overlay.opaque") return false;
  return name.starts_with("trusted.overlay.") || untar::isOfTheHost(name);
}

absl::StatusOr<uint32_t> attributesChecksum(const std::string& path) {
  // Most have none.
  ssize_t size = ::llistxattr(path.c_str(), nullptr, 0);
  if (size == 0 || (size < 0 && errno == EOPNOTSUPP)) return 0;
  std::string names(kLongestAttribute, '\0');
  if (size > 0) size = ::llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) return errnoStatus(errno, "list the extended attributes");
  std::map<std::string, std::string> found;
  for (const char* name = names.data(); name < names.data() + size; name += std::strlen(name) + 1) {
    if (isForeign(name)) continue;
    std::string value(kLongestAttribute, '\0');
    const ssize_t length = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    if (length < 0) return errnoStatus(errno, strCat("read the extended attribute ", name));
    value.resize(static_cast<size_t>(length));
    found[name] = std::move(value);
  }
  if (found.empty()) return 0;
  Crc32c sum;
  for (const auto& [name, value] : found)
    sum.update(strCat(name, std::string_view("\0", 1), value.size(), " ", value));
  return sum.value();
}

// A line per path: the line's end, and the escape itself, become numbers.
std::string escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\\') {
      text += "\\\\";
    } else {
      text.push_back(c);
    }
  }
  return text;
}

std::string unescaped(std::string_view text) {
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      path.push_back(text[++i] == 'n' ? '\n' : '\\');
    } else {
      path.push_back(text[i]);
    }
  }
  return path;
}

std::string lineOf(const ContentEntry& entry) {
  char fixed[96];
  std::snprintf(fixed, sizeof fixed, "%c %o %" PRIu32 " %" PRIu32 " %" PRIu64 " %08x %08x ",
                entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.content,
                entry.attributes);
  return strCat(fixed, escaped(entry.path), "\n");
}

// Takes a number and the blank behind it off the line.
template <class Number>
bool take(std::string_view& line, Number& number, int base = 10) {
  const char* end = line.data() + line.size();
  const auto read = std::from_chars(line.data(), end, number, base);
  if (read.ec != std::errc() || read.ptr == end || *read.ptr != ' ') return false;
  line.remove_prefix(static_cast<size_t>(read.ptr - line.data()) + 1);
  return true;
}

absl::Status noEntry() {
  return absl::DataLossError("the list of its files has a line that is none");
}

}  // namespace

std::string contentListPath(const std::string& directory) {
  return directory + "/content";
}

absl::StatusOr<uint32_t> linkChecksum(int directory, const char* name) {
  char target[PATH_MAX];
  const ssize_t size = ::readlinkat(directory, name, target, sizeof target);
  if (size < 0) return errnoStatus(errno, "read the link");
  return crc32c({target, static_cast<size_t>(size)});
}

absl::StatusOr<ContentEntry> describeEntry(const struct stat& info, std::string path,
                                           const std::string& xattrPath) {
  ContentEntry entry{.kind = kindOf(info.st_mode),
                     .mode = info.st_mode & 07777u,
                     .uid = info.st_uid,
                     .gid = info.st_gid,
                     .path = std::move(path)};
  if (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode))
    entry.size = static_cast<uint64_t>(info.st_size);
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) entry.size = info.st_rdev;
  if (!xattrPath.empty()) {
    BERTH_ASSIGN_OR_RETURN(entry.attributes, attributesChecksum(xattrPath));
  }
  return entry;
}

absl::Status ContentListWriter::open(const std::string& path) {
  path_ = path;
  BERTH_ASSIGN_OR_RETURN(file_,
                         support::openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  return put(kHeader);
}

void ContentListWriter::onContent(const untar::DataPiece& piece) {
  content_.skip(piece.position - position_);
  content_.update(piece.bytes);
  position_ = piece.position + piece.bytes.size();
}

void ContentListWriter::onFile(const struct stat& info) {
  content_.skip(static_cast<uint64_t>(info.st_size) - position_);
  checksums_.emplace_back(info.st_ino, content_.value());
  content_ = Crc32c();
  position_ = 0;
}

uint32_t ContentListWriter::checksumOf(ino_t inode) {
  if (!sorted_) {
    std::stable_sort(checksums_.begin(), checksums_.end(),
                     [](const auto& one, const auto& other) { return one.first < other.first; });
    sorted_ = true;
  }
  const auto after =
      std::upper_bound(checksums_.begin(), checksums_.end(), inode,
                       [](ino_t wanted, const auto& one) { return wanted < one.first; });
  if (after == checksums_.begin() || std::prev(after)->first != inode) return crc32c("");
  return std::prev(after)->second;
}

absl::Status ContentListWriter::onFound(const untar::FoundEntry& found,
                                        untar::Attributes attributes) {
  const std::string xattrPath = attributes == untar::Attributes::kNone
                                    ? std::string()
                                    : strCat("/proc/self/fd/", found.directory, "/", found.name);
  auto entry = describeEntry(found.info, found.path, xattrPath);
  if (!entry.ok()) return support::annotate(entry.status(), strCat("note ", found.path));
  if (entry->kind == 'f') entry->content = checksumOf(found.info.st_ino);
  if (entry->kind == 'l') {
    BERTH_ASSIGN_OR_RETURN(entry->content, linkChecksum(found.directory, found.name));
  }
  ++entries_;
  return put(lineOf(*entry));
}

absl::Status ContentListWriter::put(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kBufferBytes ? absl::OkStatus() : flush();
}

absl::Status ContentListWriter::flush() {
  sum_.update(buffer_);
  BERTH_RETURN_IF_ERROR(
      support::annotate(support::writeAll(file_.get(), buffer_), strCat("write ", path_)));
  buffer_.clear();
  return absl::OkStatus();
}

absl::StatusOr<ContentSummary> ContentListWriter::finish() {
  BERTH_RETURN_IF_ERROR(flush());
  file_.reset();
  return ContentSummary{entries_, sum_.value()};
}

absl::StatusOr<std::string> readContentList(const std::string& path,
                                            const ContentSummary& summary) {
  BERTH_ASSIGN_OR_RETURN(std::string list, support::readFile(path, kLongestList));
  if (crc32c(list) != summary.checksum || !list.starts_with(kHeader))
    return absl::DataLossError("the list of its files is damaged");
  list.erase(0, kHeader.size());
  return list;
}

absl::StatusOr<std::optional<ContentEntry>> nextEntry(std::string_view& list) {
  if (list.empty()) return std::nullopt;
  const size_t end = list.find('\n');
  if (end == std::string_view::npos || end < 2) return noEntry();
  std::string_view line = list.substr(0, end);
  list.remove_prefix(end + 1);
  ContentEntry entry{.kind = line[0]};
  line.remove_prefix(2);
  if (!take(line, entry.mode, 8) || !take(line, entry.uid) || !take(line, entry.gid) ||
      !take(line, entry.size) || !take(line, entry.content, 16) ||
      !take(line, entry.attributes, 16))
    return noEntry();
  entry.path = unescaped(line);
  return entry;
}

}  // namespace berth::overlay
