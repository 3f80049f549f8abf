#include "berth/support/threads.hpp"

#include <atomic>
#include <latch>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../no_more_threads.hpp"

namespace berth::support {
namespace {

using ::testing::HasSubstr;

TEST(ThreadsTest, WhatIsThrownIsReturned) {
  EXPECT_TRUE(returnThrown([] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(returnThrown([]() -> absl::Status { throw std::bad_alloc(); }).code(),
            absl::StatusCode::kResourceExhausted);
  const absl::Status status =
      returnThrown([]() -> absl::Status { throw std::runtime_error("the reason"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.ToString(), HasSubstr("the reason"));
  EXPECT_EQ(returnThrown([]() -> absl::Status { throw 1; }).code(), absl::StatusCode::kInternal);
}

TEST(ThreadsTest, AThreadOfItsOwn) {
  std::thread::id other;
  const absl::Status status = onOwnThread([&] {
    other = std::this_thread::get_id();
    return absl::AbortedError("as it says");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_NE(other, std::this_thread::get_id());
}

TEST(ThreadsTest, WithoutAThreadThatIsAStatus) {
  bool done = false;
  const testing_support::NoMoreThreads shortage;
  const absl::Status status = onOwnThread([&] {
    done = true;
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(startThread([&] { done = true; }).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(done);
}

TEST(ThreadsTest, AsManyAtOnceAsWanted) {
  constexpr size_t kWidth = 4;
  std::latch together(kWidth);
  std::atomic<size_t> done{0};
  const absl::Status status = inParallel(kWidth * 3, kWidth, [&](size_t i) {
    if (i < kWidth) together.arrive_and_wait();
    ++done;
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(done, kWidth * 3);
  EXPECT_TRUE(inParallel(0, kWidth, [](size_t) { return absl::InternalError(""); }).ok());
}

TEST(ThreadsTest, WithoutThreadsAllIsDoneByTheCaller) {
  std::set<size_t> done;  // of one thread
  const testing_support::NoMoreThreads shortage;
  const absl::Status status = inParallel(5, 3, [&](size_t i) {
    done.insert(i);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(done.size(), 5u);
}

TEST(ThreadsTest, TheFailuresOfAllAreJoined) {
  const absl::Status status = inParallel(3, 3, [](size_t i) -> absl::Status {
    if (i == 0) return absl::OkStatus();
    if (i == 1) throw std::runtime_error("thrown by one");
    return absl::NotFoundError("missed by another");
  });
  EXPECT_THAT(status.ToString(), HasSubstr("thrown by one; missed by another"));
}

}  // namespace
}  // namespace berth::support
