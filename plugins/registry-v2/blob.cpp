#include "blob.hpp"

#include <algorithm>
#include <charconv>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;

bool takeNumber(std::string_view& text, uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!equalIgnoringCase(text.substr(0, prefix.size()), prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A server with fewer bytes may have them all later; one with more has something else.
absl::Status wrongLength(uint64_t has, uint64_t expected) {
  const std::string message =
      strCat("the server has ", has, " bytes of it; the manifest says ", expected);
  return has < expected ? absl::UnavailableError(message) : absl::DataLossError(message);
}

}  // namespace

absl::StatusOr<ContentRange> parseContentRange(std::string_view value) {
  ContentRange range;
  std::string_view rest = trimmed(value);
  const bool ok = take(rest, "bytes ") && takeNumber(rest, range.first) && take(rest, "-") &&
                  takeNumber(rest, range.last) && take(rest, "/") &&
                  (take(rest, "*") || takeNumber(rest, range.total)) && rest.empty() &&
                  range.first <= range.last && (range.total == 0 || range.last < range.total);
  if (!ok)
    return absl::DataLossError(
        strCat("the answer's Content-Range \"", support::oneLine(value, 128), "\" makes no sense"));
  return range;
}

std::vector<std::string> BlobContent::headers() const {
  if (position_ == 0) return {"Accept: */*"};
  return {"Accept: */*", strCat("Range: bytes=", position_, "-")};
}

absl::Status BlobContent::beginWhole(const HttpHead& head) {
  skip_ = position_;
  std::string_view text = head.contentLength;
  uint64_t length = 0;
  if (takeNumber(text, length) && text.empty() && length != descriptor_.size)
    return wrongLength(length, descriptor_.size);
  return absl::OkStatus();
}

absl::Status BlobContent::beginPart(const HttpHead& head) {
  skip_ = 0;
  BERTH_ASSIGN_OR_RETURN(const ContentRange range, parseContentRange(head.contentRange));
  if (range.total != 0 && range.total != descriptor_.size)
    return wrongLength(range.total, descriptor_.size);
  if (range.first != position_)
    return absl::DataLossError(strCat("asked for the bytes from ", position_,
                                      " on, the server sends those from ", range.first, " on"));
  return absl::OkStatus();
}

absl::Status BlobContent::begin(const HttpHead& head) {
  if (head.status == 200) return beginWhole(head);
  if (head.status == 206 && position_ > 0) return beginPart(head);
  return absl::DataLossError(strCat("HTTP ", head.status, " in answer to a blob's request"));
}

absl::Status BlobContent::data(std::string_view piece) {
  const size_t repeated = static_cast<size_t>(std::min<uint64_t>(skip_, piece.size()));
  skip_ -= repeated;
  piece.remove_prefix(repeated);
  if (piece.empty()) return absl::OkStatus();
  // Judged before it is passed on: the host is promised no byte past the blob's size.
  if (piece.size() > descriptor_.size - position_)
    return absl::DataLossError(
        strCat("the server sends more than the ", descriptor_.size, " bytes of the blob"));
  const Status status = sink_.write(piece);
  if (!status.ok()) {
    stopped_ = absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
    return stopped_;
  }
  position_ += piece.size();
  op_.progress(position_, descriptor_.size);
  return absl::OkStatus();
}

absl::Status BlobContent::finish() {
  if (position_ == descriptor_.size) return absl::OkStatus();
  return absl::UnavailableError(
      strCat("the transfer ended after ", position_, " of ", descriptor_.size, " bytes"));
}

}  // namespace berth::registry
