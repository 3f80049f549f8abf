#include "berth/support/lock_within.hpp"

#include <future>
#include <sys/eventfd.h>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"

namespace berth::support {
namespace {

using std::chrono::milliseconds;

TEST(LockWithin, AFreeMutexIsHadAtOnce) {
  std::mutex mutex;
  std::unique_lock lock(mutex, std::defer_lock);
  EXPECT_TRUE(lockWithin(lock, limitsFor(milliseconds(0)), "wait").ok());
  EXPECT_TRUE(lock.owns_lock());
}

TEST(LockWithin, AWaitEndsAtTheLimits) {
  std::mutex mutex;
  const std::lock_guard held(mutex);
  const Fd cancelled(::eventfd(1, EFD_CLOEXEC));
  std::async(std::launch::async, [&] {
    std::unique_lock lock(mutex, std::defer_lock);
    const absl::Status late = lockWithin(lock, limitsFor(milliseconds(1)), "wait for it");
    EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
    EXPECT_EQ(late.message(), "wait for it: the deadline has passed");
    const absl::Status cut = lockWithin(lock, {.cancelFd = cancelled.get()}, "wait for it");
    EXPECT_TRUE(absl::IsCancelled(cut)) << cut;
    EXPECT_FALSE(lock.owns_lock());
  }).get();
}

TEST(LockWithin, AWaitEndsWithTheHolders) {
  std::mutex mutex;
  std::unique_lock held(mutex);
  auto waiter = std::async(std::launch::async, [&] {
    std::unique_lock lock(mutex, std::defer_lock);
    return lockWithin(lock, {}, "wait").ok() && lock.owns_lock();
  });
  EXPECT_EQ(waiter.wait_for(milliseconds(20)), std::future_status::timeout);
  held.unlock();
  EXPECT_TRUE(waiter.get());
}

}  // namespace
}  // namespace berth::support
