#include "streaming/spdy/header_block.hpp"

#include <algorithm>
#include <string_view>

#include "berth/support/status.hpp"
#include "streaming/spdy/big_endian.hpp"
#include "streaming/spdy/dictionary.hpp"

namespace berth::streaming::spdy {

using support::strCat;

namespace {

constexpr size_t kChunk = 4096;
// The dictionary has to fit the window, and replies are tiny: little memory for each session.
constexpr int kDeflateWindowBits = 11;
constexpr int kDeflateMemoryLevel = 1;

// zlib takes pointers to mutable bytes and does not write to them.
Bytef* input(Bytes bytes) {
  return const_cast<Bytef*>(bytes.data());
}

// Takes length-prefixed strings off the front of a block.
class Cursor {
 public:
  explicit Cursor(Bytes block) : left_(block) {}

  absl::StatusOr<uint32_t> number() {
    if (left_.size() < 4) return cutShort();
    const uint32_t value = get32(left_.data());
    left_ = left_.subspan(4);
    return value;
  }
  absl::StatusOr<std::string> text() {
    BERTH_ASSIGN_OR_RETURN(const uint32_t size, number());
    if (left_.size() < size) return cutShort();
    const auto* const begin = reinterpret_cast<const char*>(left_.data());
    left_ = left_.subspan(size);
    return std::string(begin, size);
  }
  bool atEnd() const { return left_.empty(); }

 private:
  static absl::Status cutShort() {
    return absl::InvalidArgumentError("a SPDY header block ends within a name or a value");
  }
  Bytes left_;
};

bool isLegalName(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return c > 0x20 && c < 0x7f && (c < 'A' || c > 'Z');
  });
}

// Empty, or values that are not, separated by one NUL each.
bool isLegalValue(std::string_view value) {
  if (value.empty()) return true;
  constexpr std::string_view kEmptyValue("\0\0", 2);
  return value.front() != '\0' && value.back() != '\0' &&
         value.find(kEmptyValue) == std::string_view::npos;
}

}  // namespace

absl::StatusOr<Headers> parseHeaderBlock(Bytes block, size_t maxHeaders) {
  Cursor cursor(block);
  BERTH_ASSIGN_OR_RETURN(const uint32_t count, cursor.number());
  if (count > maxHeaders) {
    return absl::InvalidArgumentError(
        strCat("a SPDY header block has ", count, " headers, at most ", maxHeaders, " are taken"));
  }
  Headers headers;
  for (uint32_t i = 0; i < count; ++i) {
    BERTH_ASSIGN_OR_RETURN(std::string name, cursor.text());
    BERTH_ASSIGN_OR_RETURN(std::string value, cursor.text());
    if (!isLegalName(name)) {
      return absl::InvalidArgumentError(
          "a SPDY header's name is empty or not of lower-case ASCII characters");
    }
    if (!isLegalValue(value)) {
      return absl::InvalidArgumentError(
          strCat("the SPDY header ", name, " has an empty value beside others"));
    }
    const auto [place, isNew] = headers.try_emplace(std::move(name), std::move(value));
    if (!isNew) {
      return absl::InvalidArgumentError(strCat("the SPDY header ", place->first, " comes twice"));
    }
  }
  if (!cursor.atEnd()) {
    return absl::InvalidArgumentError("a SPDY header block has bytes behind its last header");
  }
  return headers;
}

void appendHeaderBlock(std::vector<uint8_t>& out, const Headers& headers) {
  const auto appendText = [&](std::string_view text) {
    append32(out, static_cast<uint32_t>(text.size()));
    out.insert(out.end(), text.begin(), text.end());
  };
  append32(out, static_cast<uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    appendText(name);
    appendText(value);
  }
}

HeaderInflater::HeaderInflater() : ready_(inflateInit(&stream_) == Z_OK) {}

HeaderInflater::~HeaderInflater() {
  if (ready_) inflateEnd(&stream_);
}

absl::StatusOr<std::vector<uint8_t>> HeaderInflater::inflate(Bytes compressed, size_t maxBytes) {
  if (!ready_) return absl::InternalError("zlib cannot start to decompress SPDY headers");
  stream_.next_in = input(compressed);
  stream_.avail_in = static_cast<uInt>(compressed.size());
  std::vector<uint8_t> plain;
  uint8_t chunk[kChunk];
  for (;;) {
    stream_.next_out = chunk;
    stream_.avail_out = kChunk;
    const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
    if (result == Z_NEED_DICT) {
      const std::vector<uint8_t>& dictionary = headerDictionary();
      if (inflateSetDictionary(&stream_, dictionary.data(), static_cast<uInt>(dictionary.size())) !=
          Z_OK) {
        return absl::InvalidArgumentError(
            "SPDY headers are compressed with a dictionary that is not SPDY/3's");
      }
      continue;
    }
    const size_t produced = kChunk - stream_.avail_out;
    if (produced > maxBytes - plain.size()) {
      return absl::ResourceExhaustedError(
          strCat("a SPDY header block is longer than ", maxBytes, " bytes"));
    }
    plain.insert(plain.end(), chunk, chunk + produced);
    const bool allGiven = stream_.avail_in == 0 && stream_.avail_out > 0;
    if (allGiven && (result == Z_OK || result == Z_BUF_ERROR)) return plain;
    if (result != Z_OK) {
      return absl::InvalidArgumentError(strCat("compressed SPDY headers are damaged: ",
                                               stream_.msg != nullptr ? stream_.msg : "they end"));
    }
  }
}

HeaderDeflater::HeaderDeflater() {
  ready_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kDeflateWindowBits,
                        kDeflateMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK;
  if (!ready_) return;
  const std::vector<uint8_t>& dictionary = headerDictionary();
  deflateSetDictionary(&stream_, dictionary.data(), static_cast<uInt>(dictionary.size()));
}

HeaderDeflater::~HeaderDeflater() {
  if (ready_) deflateEnd(&stream_);
}

absl::StatusOr<std::vector<uint8_t>> HeaderDeflater::deflate(Bytes block) {
  if (!ready_) return absl::InternalError("zlib cannot start to compress SPDY headers");
  stream_.next_in = input(block);
  stream_.avail_in = static_cast<uInt>(block.size());
  std::vector<uint8_t> compressed;
  uint8_t chunk[kChunk];
  do {
    stream_.next_out = chunk;
    stream_.avail_out = kChunk;
    ::deflate(&stream_, Z_SYNC_FLUSH);
    compressed.insert(compressed.end(), chunk, chunk + (kChunk - stream_.avail_out));
  } while (stream_.avail_out == 0);
  return compressed;
}

}  // namespace berth::streaming::spdy
