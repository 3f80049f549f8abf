// CRC-32C, and holes in what it is of.
#include "checksum.hpp"

#include <string>

#include <gtest/gtest.h>

namespace berth::overlay {
namespace {

// RFC 3720, appendix B.4; the customary check value.
TEST(Crc32c, GivesTheKnownValues) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32c, AHoleCountsAsItsZeros) {
  for (const size_t zeros : {size_t{0}, size_t{1}, size_t{7}, size_t{4096}, size_t{1000003}}) {
    Crc32c skipped;
    skipped.update("before");
    skipped.skip(zeros);
    skipped.update("after");
    EXPECT_EQ(skipped.value(), crc32c("before" + std::string(zeros, '\0') + "after")) << zeros;
  }
}

TEST(Crc32c, TheLargestHoleTakesNoTime) {
  Crc32c sum;
  sum.skip(UINT64_MAX);
  EXPECT_NE(sum.value(), 0u);
}

}  // namespace
}  // namespace berth::overlay
