#include "engine/checkpoint/changes.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/strings/str_split.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "berth/untar/tar_reader.hpp"
#include "berth/untar/tar_writer.hpp"
#include "engine/checkpoint/names.hpp"
#include "images/decompress.hpp"
#include "images/digest.hpp"

namespace berth::checkpoint {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr size_t kPiece = 1u << 20;
constexpr size_t kListBytes = 64u << 20;
constexpr std::string_view kWhiteout = ".wh.";

class PieceReader {
 public:
  PieceReader(const Fd& file, const Check& check)
      : file_(file), check_(check), buffer_(kPiece, '\0') {}
  absl::StatusOr<std::string_view> next() {
    BERTH_RETURN_IF_ERROR(check_());
    for (;;) {
      const ssize_t count = ::read(file_.get(), buffer_.data(), buffer_.size());
      if (count >= 0) return std::string_view(buffer_.data(), static_cast<size_t>(count));
      if (errno != EINTR) return errnoStatus(errno, "read a layer");
    }
  }

 private:
  const Fd& file_;
  const Check& check_;
  std::string buffer_;
};

// Where whiteouts stand in a layer, and what they take away.
struct Whiteouts {
  struct Span {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  std::vector<Span> spans;
  std::vector<std::string> removed;
  uint64_t end = 0;  // of the last entry
};

absl::StatusOr<Whiteouts> findWhiteouts(const Fd& file, const Check& check) {
  PieceReader pieces(file, check);
  untar::TarReader tar([&](std::string_view& piece) -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(piece, pieces.next());
    return absl::OkStatus();
  });
  Whiteouts result;
  bool open = false;
  for (;;) {
    untar::Entry entry;
    BERTH_ASSIGN_OR_RETURN(const bool more, tar.next(entry));
    if (open) result.spans.back().end = more ? entry.offset : UINT64_MAX;
    if (!more) return result;
    const size_t slash = entry.name.rfind('/');
    const size_t name = slash == std::string::npos ? 0 : slash + 1;
    open = entry.name.compare(name, kWhiteout.size(), kWhiteout) == 0;
    if (!open) continue;
    result.spans.push_back({entry.offset, 0});
    result.removed.push_back(
        strCat("/", entry.name.substr(0, name), entry.name.substr(name + kWhiteout.size())));
  }
}

absl::Status copyRange(const Fd& from, const Fd& to, uint64_t begin, uint64_t end,
                       const Check& check) {
  std::string buffer(kPiece, '\0');
  while (begin < end) {
    BERTH_RETURN_IF_ERROR(check());
    const ssize_t count =
        ::pread(from.get(), buffer.data(), std::min<uint64_t>(buffer.size(), end - begin),
                static_cast<off_t>(begin));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoStatus(errno, "read a layer");
    if (count == 0) break;
    BERTH_RETURN_IF_ERROR(support::writeAll(to.get(), {buffer.data(), static_cast<size_t>(count)}));
    begin += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status copyWithout(const Fd& from, const std::string& target, const Whiteouts& whiteouts,
                         const Check& check) {
  BERTH_ASSIGN_OR_RETURN(const Fd to, support::openFile(target, O_WRONLY | O_CREAT | O_EXCL, 0600));
  uint64_t at = 0;
  for (const Whiteouts::Span& span : whiteouts.spans) {
    BERTH_RETURN_IF_ERROR(copyRange(from, to, at, span.begin, check));
    at = span.end;
  }
  if (at != UINT64_MAX) return copyRange(from, to, at, UINT64_MAX, check);
  // The last entry was a whiteout, and with it went the archive's end.
  return support::writeAll(to.get(), std::string(1024, '\0'));
}

// "/etc/motd" is "etc/.wh.motd".
absl::StatusOr<std::string> whiteoutFor(std::string_view path) {
  std::vector<std::string> parts;
  for (const absl::string_view part :
       absl::StrSplit(support::toAbsl(path), '/', absl::SkipEmpty())) {
    if (part == "." || part == ".." || support::fromAbsl(part).starts_with(kWhiteout)) {
      return absl::InvalidArgumentError(
          strCat(kDeletedFiles, ": ", untar::inQuotes(path), " is no path in a root filesystem"));
    }
    parts.emplace_back(part);
  }
  if (parts.empty()) {
    return absl::InvalidArgumentError(strCat(kDeletedFiles, " names the root directory"));
  }
  parts.back() = strCat(kWhiteout, parts.back());
  std::string result;
  for (const std::string& part : parts) result += result.empty() ? part : strCat("/", part);
  return result;
}

absl::StatusOr<std::vector<std::string>> readDeleted(const std::string& tree) {
  const auto text = support::readFile(strCat(tree, "/", kDeletedFiles), kListBytes);
  if (absl::IsNotFound(text.status())) return std::vector<std::string>();
  BERTH_RETURN_IF_ERROR(text.status());
  BERTH_ASSIGN_OR_RETURN(const boost::json::value document,
                         support::parseJson(*text, kDeletedFiles));
  std::vector<std::string> whiteouts;
  if (document.is_null()) return whiteouts;
  if (!document.is_array()) {
    return absl::InvalidArgumentError(strCat(kDeletedFiles, " is no list of paths"));
  }
  for (const boost::json::value& path : document.get_array()) {
    if (!path.is_string()) {
      return absl::InvalidArgumentError(strCat(kDeletedFiles, " is no list of paths"));
    }
    BERTH_ASSIGN_OR_RETURN(std::string whiteout, whiteoutFor(path.get_string().c_str()));
    whiteouts.push_back(std::move(whiteout));
  }
  return whiteouts;
}

}  // namespace

absl::Status splitLayer(const std::string& layer, const std::string& tree, const Check& check) {
  BERTH_ASSIGN_OR_RETURN(const Fd file, support::openFile(layer, O_RDONLY));
  BERTH_ASSIGN_OR_RETURN(const Whiteouts whiteouts, findWhiteouts(file, check));
  const std::string target = strCat(tree, "/", kRootfsDiff);
  if (whiteouts.spans.empty()) {
    if (support::steps::rename(layer.c_str(), target.c_str()) == 0) return absl::OkStatus();
    return errnoStatus(errno, strCat("rename ", layer, " to ", target));
  }
  BERTH_RETURN_IF_ERROR(copyWithout(file, target, whiteouts, check));
  BERTH_RETURN_IF_ERROR(
      support::replaceFile(strCat(tree, "/", kDeletedFiles),
                           boost::json::serialize(support::jsonTexts(whiteouts.removed)), 0600,
                           support::Durability::kVisible));
  return support::removePath(layer);
}

absl::StatusOr<RestoredLayer> joinLayer(const std::string& tree, const std::string& container,
                                        const Check& check) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> whiteouts, readDeleted(tree));
  auto diff = support::openFile(strCat(tree, "/", kRootfsDiff), O_RDONLY | O_NOFOLLOW);
  if (!diff.ok() && !absl::IsNotFound(diff.status())) return diff.status();
  if (!diff.ok() && whiteouts.empty()) return RestoredLayer();

  RestoredLayer result{.file = strCat(tree, "/layer.tar")};
  BERTH_ASSIGN_OR_RETURN(const Fd file,
                         support::openFile(result.file, O_WRONLY | O_CREAT | O_EXCL, 0600));
  images::Hash digest;
  const auto take = [&](std::string_view piece) {
    digest.update(piece);
    return support::writeAll(file.get(), piece);
  };
  untar::TarWriter tar(take);
  BERTH_RETURN_IF_ERROR(tar.comment(strCat("restored container ", container)));
  for (const std::string& whiteout : whiteouts) {
    BERTH_RETURN_IF_ERROR(tar.add({.name = whiteout, .mode = 0}));
  }
  if (diff.ok()) {
    PieceReader pieces(*diff, check);
    const auto plain = images::Decompressor::create([&] { return pieces.next(); });
    for (;;) {
      BERTH_ASSIGN_OR_RETURN(const std::string_view piece, plain->next());
      if (piece.empty()) break;
      BERTH_RETURN_IF_ERROR(take(piece));
    }
  } else {
    BERTH_RETURN_IF_ERROR(tar.finish());
  }
  result.diffId = digest.finish();
  return result;
}

}  // namespace berth::checkpoint
