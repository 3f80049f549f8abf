#include "images/decompress.hpp"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"
#include "content.hpp"

namespace berth::images {
namespace {

using testing::gzip;
using testing::noise;
using testing::zstd;
using testing::zstdWithWindow;

// Gives `input` in pieces of `step` bytes, each in memory of its own that is overwritten
// afterwards.
Pieces inPieces(std::string input, size_t step) {
  return [input = std::move(input), step, at = size_t{0},
          piece = std::string()]() mutable -> absl::StatusOr<std::string_view> {
    std::fill(piece.begin(), piece.end(), '\x55');
    piece = input.substr(at, step);
    at += piece.size();
    return std::string_view(piece);
  };
}

absl::StatusOr<std::string> plain(const std::string& input, size_t step = 1u << 16) {
  auto decompressor = Decompressor::create(inPieces(input, step));
  std::string text;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const std::string_view piece, decompressor->next());
    if (piece.empty()) return text;
    text += piece;
  }
}

std::string skippableFrame(const std::string& content, unsigned kind = 0) {
  std::string frame = {static_cast<char>(0x50 + kind), 0x2a, 0x4d, 0x18};
  for (unsigned shift : {0u, 8u, 16u, 24u}) {
    frame += static_cast<char>((content.size() >> shift) & 0xff);
  }
  return frame + content;
}

struct Format {
  const char* name;
  std::string (*compress)(std::string_view);
};
void PrintTo(const Format& format, std::ostream* out) {
  *out << format.name;
}

class EveryFormat : public ::testing::TestWithParam<Format> {
 protected:
  static std::string compress(std::string_view text) { return GetParam().compress(text); }
};

TEST_P(EveryFormat, GivesTheContentWhateverThePieces) {
  const std::string text = noise(100000);
  for (size_t step : {size_t{1}, size_t{3}, size_t{1000}, size_t{1} << 20}) {
    const auto result = plain(compress(text), step);
    ASSERT_TRUE(result.ok()) << step << ": " << result.status();
    EXPECT_TRUE(*result == text) << step;
  }
}

// Around the size of the output buffer, and multiples of it.
TEST_P(EveryFormat, GivesContentOfEverySize) {
  constexpr size_t kBuffer = 256u << 10;
  for (size_t size : {size_t{1}, kBuffer - 1, kBuffer, kBuffer + 1, 2 * kBuffer, 5 * kBuffer}) {
    const std::string text = noise(size);
    const auto result = plain(compress(text));
    ASSERT_TRUE(result.ok()) << size << ": " << result.status();
    EXPECT_TRUE(*result == text) << size;
  }
}

TEST_P(EveryFormat, GivesContentThatCompressesVeryWell) {
  const std::string text(20u << 20, 'x');
  const auto result = plain(compress(text));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(*result == text);
}

TEST_P(EveryFormat, AnEmptyContentIsEmpty) {
  const auto result = plain(compress(""));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(*result, "");
}

TEST_P(EveryFormat, AFailureOfTheInputIsReturnedAsItIs) {
  const std::string input = compress(noise(100000));
  size_t calls = 0;
  auto decompressor = Decompressor::create([&]() -> absl::StatusOr<std::string_view> {
    if (calls++ == 0) return std::string_view(input).substr(0, input.size() / 2);
    return absl::UnavailableError("the connection broke off");
  });
  absl::Status status;
  while (status.ok()) status = decompressor->next().status();
  EXPECT_EQ(status, absl::UnavailableError("the connection broke off"));
}

INSTANTIATE_TEST_SUITE_P(All, EveryFormat,
                         ::testing::Values(Format{"gzip", &gzip}, Format{"zstd", &zstd},
                                           Format{"plain", [](std::string_view text) {
                                                    return std::string(text);
                                                  }}));

class EveryCompression : public EveryFormat {};

TEST_P(EveryCompression, SeveralInARowAreOneContent) {
  const std::string input =
      compress("one ") + compress("") + compress(noise(300000)) + compress(" end");
  for (size_t step : {size_t{1}, size_t{7}, size_t{1} << 20}) {
    const auto result = plain(input, step);
    ASSERT_TRUE(result.ok()) << step << ": " << result.status();
    EXPECT_TRUE(*result == "one " + noise(300000) + " end") << step;
  }
}

TEST_P(EveryCompression, EveryTruncationIsNoticed) {
  const std::string input = compress(noise(3000));
  for (size_t size = 4; size < input.size(); ++size) {
    const auto result = plain(input.substr(0, size), 512);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST_P(EveryCompression, ATruncatedSecondPartIsNoticed) {
  const std::string second = compress(noise(3000, 2));
  const auto result = plain(compress("first") + second.substr(0, second.size() - 5));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(EveryCompression, GarbageBehindTheContentIsNoticed) {
  const auto result = plain(compress("content") + "garbage");
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << result.status();
}

TEST_P(EveryCompression, DamageNeverPassesForTheContent) {
  const std::string text = noise(2000);
  const std::string input = compress(text);
  size_t refused = 0;
  for (size_t i = 4; i < input.size(); ++i) {
    std::string damaged = input;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    const auto result = plain(damaged, 100);
    if (!result.ok()) {
      EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, EveryCompression,
                         ::testing::Values(Format{"gzip", &gzip}, Format{"zstd", &zstd}));

TEST(Gzip, ADamagedChecksumIsNoticed) {
  std::string input = gzip(noise(5000));
  for (size_t fromEnd : {size_t{1}, size_t{5}, size_t{8}}) {
    std::string damaged = input;
    damaged[damaged.size() - fromEnd] = static_cast<char>(damaged[damaged.size() - fromEnd] ^ 1);
    EXPECT_EQ(plain(damaged).status().code(), absl::StatusCode::kInvalidArgument) << fromEnd;
  }
}

TEST(Gzip, ZerosBehindTheLastMemberArePadding) {
  const auto result = plain(gzip("content") + std::string(1000, '\0'), 100);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(*result, "content");
}

TEST(Zstd, SkippableFramesAreSkippedAnywhere) {
  const std::string input = skippableFrame("index", 7) + zstd("one ") + skippableFrame("") +
                            zstd("two") + skippableFrame(std::string(5000, 'i'), 15);
  for (size_t step : {size_t{1}, size_t{1} << 20}) {
    const auto result = plain(input, step);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(*result, "one two");
  }
}

TEST(Zstd, FramesFromBeforeTheStandardAreRefused) {
  // Version 0.7: a header with a window of 1 KiB, a raw block, the end.
  const std::string old("\x27\xb5\x2f\xfd\0\0\x40\0\x05hello\xc0\0\0", 17);
  for (const std::string& first : {skippableFrame(""), zstd("x")}) {
    const auto result = plain(first + old);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << result.status();
  }
}

TEST(Zstd, ATruncatedSkippableFrameIsNoticed) {
  const std::string frame = skippableFrame(std::string(100, 'i'));
  EXPECT_EQ(plain(zstd("x") + frame.substr(0, 50)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Zstd, WindowsUpTo128MiBAreRead) {
  // The second half repeats the first, further back than small windows reach.
  const std::string half = noise(12u << 20);
  const std::string input = zstdWithWindow(half + half, 27);
  ASSERT_LT(input.size(), zstd(half).size() * 3 / 2) << "the window is used";
  for (const size_t step : {size_t{1} << 20, size_t{4099}}) {
    const auto result = plain(zstd("first ") + input, step);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(*result == "first " + half + half);
  }
}

TEST(Zstd, LargerWindowsAreRefused) {
  const auto result = plain(zstdWithWindow(noise(1000), 28));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(result.status().message()),
      ::testing::AllOf(::testing::HasSubstr("268435456"), ::testing::HasSubstr("134217728")));
}

TEST(Zstd, LargeWindowsTakeTurnsAndSmallOnesDoNot) {
  const std::string large = zstdWithWindow(noise(1000), 27);
  auto first = Decompressor::create(inPieces(large, 100));
  ASSERT_TRUE(first->next().ok());
  const plugins::Operation impatient(
      "impatient", plugins::Operation::Clock::now() + std::chrono::milliseconds(1));
  auto second = Decompressor::create(inPieces(large, 100),
                                     [&](Slots& slots) { return slots.take(impatient); });
  EXPECT_EQ(second->next().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(plain(zstdWithWindow(noise(1000), 23)).ok()) << "8 MiB";
  first.reset();
  EXPECT_TRUE(plain(large).ok());
}

TEST(Plain, ShortContentIsNotTakenForAnything) {
  for (const char* text : {"", "a", "\x1f", "\x28\xb5", "abc"}) {
    const auto result = plain(text, 1);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(*result, text);
  }
}

}  // namespace
}  // namespace berth::images
