// Losses: each settled, those that cannot be yet tried again.
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <poll.h>

#include <gmock/gmock.h>

#include "loss_settler.hpp"

namespace berth::runc {
namespace {

// A host that counts lines.
class LossSettlerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    raw_.size = sizeof raw_;
    raw_.context = this;
    raw_.log = [](void* context, berth_log_level, berth_str message, const berth_pair*, size_t) {
      auto& self = *static_cast<LossSettlerTest*>(context);
      const std::lock_guard lock(self.mutex_);
      ++self.lines_;
      self.text_ += copy(message);
    };
  }
  int lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  berth_host raw_{};
  Host host_{&raw_};
  std::mutex mutex_;
  int lines_ = 0;
  std::string text_;
};

TEST_F(LossSettlerTest, OneThatHangsDoesNotKeepOthersWaiting) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> other;
  LossSettler settler(
      [&](const std::string& pod) {
        if (pod == "hangs") released.wait();
        if (pod == "other") other.set_value();
        return absl::OkStatus();
      },
      host_);
  ASSERT_TRUE(settler.start().ok());
  settler.post("hangs");
  settler.post("other");
  EXPECT_EQ(other.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  release.set_value();
}

// After pauses, in which others have their turn, and without a line for each attempt.
TEST_F(LossSettlerTest, WhatFailsIsTriedAgain) {
  std::atomic<int> attempts = 0;
  std::promise<void> done;
  LossSettler settler(
      [&](const std::string&) -> absl::Status {
        if (++attempts < 3) return absl::ResourceExhaustedError("no descriptors");
        done.set_value();
        return absl::OkStatus();
      },
      host_, std::chrono::milliseconds(50));
  ASSERT_TRUE(settler.start().ok());
  const auto begin = std::chrono::steady_clock::now();
  settler.post("pod");
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(150));
  settler.stop();
  EXPECT_EQ(attempts, 3);
  EXPECT_EQ(lines(), 1);
}

TEST_F(LossSettlerTest, ANewLossIsTriedAtOnce) {
  std::atomic<bool> fails = true;
  std::promise<void> failed;
  std::promise<void> done;
  LossSettler settler(
      [&](const std::string&) -> absl::Status {
        if (fails.exchange(false)) {
          failed.set_value();
          return absl::ResourceExhaustedError("no descriptors");
        }
        done.set_value();
        return absl::OkStatus();
      },
      host_, std::chrono::hours(1));
  ASSERT_TRUE(settler.start().ok());
  settler.post("pod");
  failed.get_future().wait();
  while (lines() == 0) std::this_thread::yield();
  settler.post("pod");
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

// There are never two at a time for a pod, and none is forgotten.
TEST_F(LossSettlerTest, ALossWhileOneIsSettledComesAfterIt) {
  std::atomic<int> atWork = 0;
  std::atomic<int> attempts = 0;
  std::promise<void> begun;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> again;
  LossSettler settler(
      [&](const std::string&) {
        EXPECT_EQ(++atWork, 1);
        const int attempt = ++attempts;
        if (attempt == 1) begun.set_value();
        released.wait();
        --atWork;
        if (attempt == 2) again.set_value();
        return absl::OkStatus();
      },
      host_);
  ASSERT_TRUE(settler.start().ok());
  settler.post("pod");
  begun.get_future().wait();
  settler.post("pod");
  settler.post("pod");
  release.set_value();
  EXPECT_EQ(again.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  settler.stop();
  EXPECT_EQ(attempts, 2);
}

TEST_F(LossSettlerTest, StopEndsThoseAtWork) {
  std::promise<void> begun;
  std::optional<LossSettler> settler;
  settler.emplace(
      [&](const std::string&) -> absl::Status {
        begun.set_value();
        pollfd polled{settler->cutOff(), POLLIN, 0};
        return ::poll(&polled, 1, 30000) == 1 ? absl::CancelledError("") : absl::OkStatus();
      },
      host_);
  ASSERT_TRUE(settler->start().ok());
  settler->post("pod");
  begun.get_future().wait();
  const auto begin = std::chrono::steady_clock::now();
  settler->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  settler->post("pod");
}

}  // namespace
}  // namespace berth::runc
