#include "berth/support/pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"

namespace berth::support {
namespace {

TEST(PipeTest, TellsWhatAPipeHolds) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  EXPECT_EQ(bytesIn(reading.get()), 0);
  ASSERT_EQ(::write(writing.get(), "four", 4), 4);
  EXPECT_EQ(bytesIn(reading.get()), 4);
  writing.reset();
  EXPECT_EQ(bytesIn(reading.get()), 4);
  char rest[4];
  ASSERT_EQ(::read(reading.get(), rest, sizeof rest), 4);
  EXPECT_EQ(bytesIn(reading.get()), 0);
}

TEST(PipeTest, SaysWhenItCannotTell) {
  const Fd directory(::open("/", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(directory);
  EXPECT_EQ(bytesIn(directory.get()), -1);
}

}  // namespace
}  // namespace berth::support
