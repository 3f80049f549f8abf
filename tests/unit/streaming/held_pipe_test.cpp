// Pipes whose lock another process keeps.
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "streaming/async_fd.hpp"

namespace berth::streaming {
namespace {

namespace asio = boost::asio;
using support::Fd;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Splices into a pipe from a socket that says nothing, for as long as it lives, but for ten seconds
// at most, so that who waits for it fails.
class Holder {
 public:
  explicit Holder(Fd pipe) : pipe_(std::move(pipe)) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    silent_.reset(ends[0]);
    const timeval most{.tv_sec = 10, .tv_usec = 0};
    EXPECT_EQ(::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most), 0);
    other_.reset(ends[1]);
    thread_ = std::thread([this] { ::splice(silent_.get(), nullptr, pipe_.get(), nullptr, 1, 0); });
    // Nothing tells that it has the lock.
    std::this_thread::sleep_for(200ms);
  }
  ~Holder() {
    other_.reset();
    thread_.join();
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  Fd pipe_;
  Fd silent_;
  Fd other_;
  std::thread thread_;
};

class HeldPipeTest : public ::testing::Test {
 protected:
  HeldPipeTest() {
    auto pipe = makePipe();
    EXPECT_TRUE(pipe.ok());
    other_ = std::move(pipe->write);
    auto adopted = AsyncFd::adoptShared(context_.get_executor(), std::move(pipe->read), workers_);
    EXPECT_TRUE(adopted.ok());
    end_ = *std::move(adopted);
  }

  // What a thread has been left with comes back to the context.
  ~HeldPipeTest() override {
    end_.reset();
    workers_.finish();
  }

  // Reads until the end, which comes when it is closed.
  void startReading() {
    asio::co_spawn(context_, readAll(), [this](const std::exception_ptr& thrown) {
      EXPECT_EQ(thrown, nullptr);
      ended_ = true;
    });
  }
  Task<void> readAll() {
    char buffer[16];
    for (;;) {
      const absl::StatusOr<size_t> count = co_await end_->read(asio::buffer(buffer));
      if (!count.ok() || *count == 0) co_return;
      text_.append(buffer, *count);
    }
  }

  common::Workers workers_;
  asio::io_context context_;
  Fd other_;
  std::unique_ptr<AsyncFd> end_;
  std::string text_;
  bool ended_ = false;
};

TEST_F(HeldPipeTest, WhoReadsItHoldsUpNobodyAndMayGiveItUp) {
  ASSERT_EQ(::write(other_.get(), "x", 1), 1);
  Holder holder(std::move(other_));
  const auto begun = Clock::now();
  startReading();
  context_.run_for(300ms);
  EXPECT_FALSE(ended_);
  end_->close();
  context_.restart();
  context_.run_for(300ms);
  EXPECT_TRUE(ended_);
  EXPECT_EQ(text_, "");
  EXPECT_LT(Clock::now() - begun, 5s);
}

TEST_F(HeldPipeTest, ItsEndIsLeftToAThread) {
  Holder holder(std::move(other_));
  const auto begun = Clock::now();
  end_.reset();
  EXPECT_LT(Clock::now() - begun, 5s);
  EXPECT_EQ(workers_.load().threads, 1u);
}

TEST_F(HeldPipeTest, WhatIsThereIsReadWhoeverWritesOn) {
  ASSERT_EQ(::write(other_.get(), "first", 5), 5);
  startReading();
  end_->endAfterPresent();
  context_.run_for(10s);
  EXPECT_TRUE(ended_);
  EXPECT_EQ(text_, "first");
}

}  // namespace
}  // namespace berth::streaming
