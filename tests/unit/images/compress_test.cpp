#include "images/compress.hpp"

#include <string>

#include <gtest/gtest.h>

#include "content.hpp"

namespace berth::images {
namespace {

std::string compressed(std::string_view text, size_t piece) {
  std::string out;
  GzipWriter writer([&](std::string_view bytes) {
    out.append(bytes);
    return absl::OkStatus();
  });
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    EXPECT_TRUE(writer.write(text.substr(0, piece)).ok());
  EXPECT_TRUE(writer.finish().ok());
  return out;
}

std::string gunzip(const std::string& bytes, size_t size) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string out(size + 1, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u) << "nothing stands behind it";
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(GzipWriter, AnotherLibraryReadsWhatItWrites) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{5} << 20}) {
    const std::string text = testing::noise(size);
    const std::string bytes = compressed(text, 1u << 16);
    EXPECT_TRUE(gunzip(bytes, size) == text) << size;
  }
  const std::string zeros(3u << 20, '\0');
  EXPECT_LT(compressed(zeros, 12345).size(), zeros.size() / 100);
}

TEST(GzipWriter, PiecesMakeNoDifference) {
  const std::string text = testing::noise(300'000);
  EXPECT_TRUE(compressed(text, text.size()) == compressed(text, 777));
}

TEST(GzipWriter, AFailureToTakeIsHandedOn) {
  GzipWriter writer([](std::string_view) { return absl::DataLossError("full"); });
  absl::Status status;
  for (int i = 0; status.ok() && i < 100; ++i) status = writer.write(testing::noise(1u << 16));
  EXPECT_EQ(status, absl::DataLossError("full"));
}

}  // namespace
}  // namespace berth::images
