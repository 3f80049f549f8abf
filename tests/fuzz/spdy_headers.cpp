// SPDY's header blocks: as they come compressed, and plain.
#include "streaming/spdy/header_block.hpp"
#include "target.hpp"

namespace berth::fuzz {

using namespace streaming::spdy;

namespace {

constexpr size_t kMostBytes = 8192;
constexpr size_t kMostHeaders = 64;

void run(std::string_view text) {
  const Bytes input(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  HeaderInflater inflater;
  const auto plain = inflater.inflate(input, kMostBytes);
  demand(!plain.ok() || plain->size() <= kMostBytes, "a block is bounded");

  const auto headers = parseHeaderBlock(input, kMostHeaders);
  if (!headers.ok()) return;
  demand(headers->size() <= kMostHeaders, "the headers are counted");
  std::vector<uint8_t> written;
  appendHeaderBlock(written, *headers);
  const auto again = parseHeaderBlock(written, kMostHeaders);
  demand(again.ok() && *again == *headers, "what is written is read again");
  HeaderDeflater deflater;
  const auto compressed = deflater.deflate(written);
  HeaderInflater fresh;
  const auto inflated = fresh.inflate(*compressed, written.size() + 1);
  demand(inflated.ok() && *inflated == written, "what is compressed comes back");
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const Headers& headers :
       {Headers{}, Headers{{"streamtype", "stdin"}},
        Headers{{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}},
        Headers{{"x", std::string("a\0b", 3)}}}) {
    std::vector<uint8_t> block;
    appendHeaderBlock(block, headers);
    all.emplace_back(block.begin(), block.end());
    HeaderDeflater deflater;
    const auto compressed = deflater.deflate(block);
    all.emplace_back(compressed->begin(), compressed->end());
  }
  return all;
}

}  // namespace

const Target kSpdyHeaders{run, seeds};

}  // namespace berth::fuzz
