// Compressed layers.
#include "images/decompress.hpp"

#include <zlib.h>

#include "target.hpp"

namespace berth::fuzz {
namespace {

// More than any input here unpacks to in reasonable time.
constexpr size_t kEnough = 8u << 20;

void run(std::string_view text) {
  Input input(text);
  const size_t piece = 1 + input.byte();
  const auto decompressor = images::Decompressor::create(
      [&]() -> absl::StatusOr<std::string_view> { return input.bytes(piece); });
  for (size_t total = 0; total < kEnough;) {
    const auto plain = decompressor->next();
    if (!plain.ok() || plain->empty()) return;
    demand(plain->size() <= 4u << 20, "a piece is bounded");
    total += plain->size();
  }
}

std::string gzip(const std::string& text, int level) {
  z_stream stream{};
  demand(deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib");
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  demand(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<std::string> seeds() {
  const std::string whole = "\xff";
  const std::string text = "a layer, a layer, a layer and another one";
  return {
      whole + gzip(text, 9),
      "\1" + gzip(text, 0),
      whole + gzip("one", 9) + gzip("two", 9),  // members in a row
      whole + gzip(std::string(100000, '\0'), 9),
      whole + std::string("\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello", 14),  // zstd
      "\2" + std::string("\x28\xb5\x2f\xfd\x20\x05\x2b\0\0x", 10),       // zstd, a run
      whole + std::string("\x50\x2a\x4d\x18\4\0\0\0skip", 12) +
          std::string("\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello", 14),  // a skippable frame first
      whole + text,
  };
}

}  // namespace

const Target kDecompress{run, seeds};

}  // namespace berth::fuzz
