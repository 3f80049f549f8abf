#include "pax.hpp"

#include <absl/strings/escaping.h>

#include "berth/support/status.hpp"
#include "berth/untar/tar_reader.hpp"
#include "numbers.hpp"

namespace berth::untar {
namespace {

using support::strCat;

constexpr std::string_view kSchilyXattr = "SCHILY.xattr.";
constexpr std::string_view kLibarchiveXattr = "LIBARCHIVE.xattr.";
constexpr std::string_view kSparse = "GNU.sparse.";

absl::Status bad(std::string_view key, std::string_view what) {
  return absl::InvalidArgumentError(strCat("the extended header's record ", inQuotes(key), what));
}

absl::Status setText(std::string_view key, std::string_view value,
                     std::optional<std::string>& target) {
  if (value.find('\0') != std::string_view::npos) return bad(key, " contains a NUL byte");
  target.reset();
  if (!value.empty()) target.emplace(value);
  return absl::OkStatus();
}

absl::Status setNumber(std::string_view key, std::string_view value,
                       std::optional<uint64_t>& target) {
  target = decimalNumber(value);
  return target || value.empty() ? absl::OkStatus() : bad(key, " is no number");
}

absl::Status setTime(std::string_view key, std::string_view value,
                     std::optional<timespec>& target) {
  target = decimalTime(value);
  return target || value.empty() ? absl::OkStatus() : bad(key, " is no time");
}

std::optional<std::string> decodePercent(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result.push_back(text[i]);
      continue;
    }
    const auto digit = [&text](size_t at) -> int {
      if (at >= text.size()) return -1;
      const char c = text[at];
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    const int high = digit(i + 1);
    const int low = digit(i + 2);
    if (high < 0 || low < 0) return std::nullopt;
    result.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return result;
}

// libarchive writes each attribute twice; the raw form wins, whichever comes first.
absl::Status setLibarchiveXattr(std::string_view key, std::string_view value, PaxRecords& records) {
  const std::optional<std::string> name = decodePercent(key.substr(kLibarchiveXattr.size()));
  std::string decoded;
  if (!name || name->empty() || name->find('\0') != std::string::npos ||
      !absl::Base64Unescape(support::toAbsl(value), &decoded))
    return bad(key, " is no attribute in base64");
  records.xattrs.try_emplace(*name, std::move(decoded));
  return absl::OkStatus();
}

absl::Status appendChunk(std::string_view key, std::string_view value, PaxRecords& records) {
  const std::optional<uint64_t> size = decimalNumber(value);
  if (!size || !records.sparseOffset) return bad(key, " is no size that follows an offset");
  if (!records.sparseMap) records.sparseMap.emplace();
  if (records.sparseMap->size() >= kMaximumSparseChunks) return bad(key, " comes too often");
  records.sparseMap->push_back({*records.sparseOffset, *size});
  records.sparseOffset.reset();
  return absl::OkStatus();
}

absl::Status setSparse(std::string_view key, std::string_view value, PaxRecords& records) {
  const std::string_view name = key.substr(kSparse.size());
  if (name == "name") return setText(key, value, records.sparseName);
  if (name == "size" || name == "realsize") return setNumber(key, value, records.sparseSize);
  if (name == "major") return setNumber(key, value, records.sparseMajor);
  if (name == "minor") return setNumber(key, value, records.sparseMinor);
  if (name == "offset") return setNumber(key, value, records.sparseOffset);
  if (name == "numbytes") return appendChunk(key, value, records);
  if (name == "map") {
    BERTH_ASSIGN_OR_RETURN(records.sparseMap, parseSparseMap(value));
  }
  return absl::OkStatus();
}

absl::Status setRecord(std::string_view key, std::string_view value, PaxRecords& records) {
  if (key.find('\0') != std::string_view::npos) return bad(key, " has a NUL byte in its name");
  if (key == "path") return setText(key, value, records.path);
  if (key == "linkpath") return setText(key, value, records.linkTarget);
  if (key == "size") return setNumber(key, value, records.size);
  if (key == "uid") return setNumber(key, value, records.uid);
  if (key == "gid") return setNumber(key, value, records.gid);
  if (key == "mtime") return setTime(key, value, records.modified);
  if (key.starts_with(kSparse)) return setSparse(key, value, records);
  if (key.starts_with(kLibarchiveXattr)) return setLibarchiveXattr(key, value, records);
  if (key.starts_with(kSchilyXattr) && key.size() > kSchilyXattr.size())
    records.xattrs.insert_or_assign(std::string(key.substr(kSchilyXattr.size())),
                                    std::string(value));
  return absl::OkStatus();
}

uint64_t sizeOf(const std::optional<std::string>& text) {
  return text ? text->size() : 0;
}

}  // namespace

uint64_t bytesOf(const PaxRecords& records) {
  uint64_t bytes = sizeOf(records.path) + sizeOf(records.linkTarget) + sizeOf(records.sparseName);
  for (const auto& [name, value] : records.xattrs) bytes += name.size() + value.size();
  if (records.sparseMap) bytes += records.sparseMap->size() * sizeof records.sparseMap->front();
  return bytes;
}

absl::Status parsePaxRecords(std::string_view text, PaxRecords& records) {
  while (!text.empty()) {
    // "<length> <key>=<value>\n", where the length counts itself and the newline.
    const size_t space = text.find(' ');
    const std::optional<uint64_t> length =
        space < 20 ? decimalNumber(text.substr(0, space)) : std::nullopt;
    if (!length || *length > text.size() || *length < space + 3 || text[*length - 1] != '\n')
      return absl::InvalidArgumentError(
          "the extended header is damaged: a record's length is wrong");
    const std::string_view record = text.substr(space + 1, *length - space - 2);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return absl::InvalidArgumentError("the extended header is damaged: a record has no name");
    BERTH_RETURN_IF_ERROR(setRecord(record.substr(0, equals), record.substr(equals + 1), records));
    text.remove_prefix(*length);
  }
  return absl::OkStatus();
}

}  // namespace berth::untar
