#include "common/own_descriptors.hpp"

#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"

namespace berth::common {
namespace {

using support::Fd;

bool isOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(OwnDescriptorsTest, TheThreadHasWhatItKeepsAndNothingElse) {
  const Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd between(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Fd also(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd last(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::thread([&] {
    ASSERT_TRUE(keepOwnDescriptors({also.get(), kept.get()}).ok());
    EXPECT_TRUE(isOpen(kept.get()) && isOpen(also.get()));
    for (const int fd : {STDIN_FILENO, first.get(), between.get(), last.get()})
      EXPECT_FALSE(isOpen(fd)) << fd;
    ::close(kept.get());
  }).join();
  for (const int fd : {first.get(), kept.get(), between.get(), also.get(), last.get()})
    EXPECT_TRUE(isOpen(fd)) << fd;
}

}  // namespace
}  // namespace berth::common
