// Frames over a socket, from sides that keep to them and from sides that do not.
#include "isolation/channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::isolation {
namespace {

struct Header {
  uint32_t size = 0;
  Kind kind = Kind::kCall;
  uint16_t number = 0;
  uint32_t descriptors = 0;
};

class ChannelTest : public ::testing::Test {
 protected:
  std::pair<support::Fd, support::Fd> ends_ = *socketPair();
  Channel channel_{std::move(ends_.first)};

  void write(std::string_view bytes) const {
    ASSERT_EQ(::write(ends_.second.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  void write(const Header& header) const {
    write({reinterpret_cast<const char*>(&header), sizeof header});
  }
};

TEST_F(ChannelTest, FramesArriveInTheirOrderAndWhole) {
  Channel other(std::move(ends_.second));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{5000}, size_t{300'000}, size_t{3}}) {
    std::thread sender([&] {
      Encoder out;
      out.append(std::string(size, 'x'));
      EXPECT_TRUE(other.send(Kind::kCallback, static_cast<uint16_t>(size % 1000), out).ok());
      EXPECT_TRUE(other.send(Kind::kReply, 1, Encoder()).ok());
    });
    const auto first = channel_.receive();
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->kind, Kind::kCallback);
    EXPECT_EQ(first->number, size % 1000);
    EXPECT_EQ(first->bytes, std::string(size, 'x'));
    EXPECT_EQ(channel_.receive()->kind, Kind::kReply);
    sender.join();
  }
}

TEST_F(ChannelTest, DescriptorsComeWithTheirFrame) {
  Channel other(std::move(ends_.second));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const support::Fd read(ends[0]);
  Encoder out;
  out.descriptor(support::Fd(ends[1]));
  ASSERT_TRUE(other.send(Kind::kCall, 0, Encoder()).ok());
  ASSERT_TRUE(other.send(Kind::kCall, 1, out).ok());
  EXPECT_TRUE(channel_.receive()->descriptors.empty());
  auto frame = channel_.receive();
  ASSERT_EQ(frame->descriptors.size(), 1u);
  EXPECT_EQ(::fcntl(frame->descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(::write(frame->descriptors[0].get(), "a", 1), 1);
  char got = 0;
  EXPECT_EQ(::read(read.get(), &got, 1), 1);
  EXPECT_EQ(got, 'a');
}

TEST_F(ChannelTest, WhatIsPostedComesBeforeTheNextFrame) {
  Channel other(std::move(ends_.second));
  Encoder large;
  large.append(std::string(100'000, 'x'));
  std::thread sender([&] {
    EXPECT_TRUE(other.post(Kind::kCallback, 1, Encoder()).ok());
    EXPECT_TRUE(other.post(Kind::kCallback, 2, large).ok());
    EXPECT_TRUE(other.post(Kind::kCallback, 3, Encoder()).ok());
    EXPECT_TRUE(other.send(Kind::kReply, 4, Encoder()).ok());
  });
  for (uint16_t number = 1; number <= 4; ++number) EXPECT_EQ(channel_.receive()->number, number);
  sender.join();
}

TEST_F(ChannelTest, TheEndIsUnavailable) {
  ends_.second.reset();
  EXPECT_EQ(channel_.receive().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(channel_.send(Kind::kCall, 0, Encoder()).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelTest, AnEndWithinAFrameIsUnavailable) {
  write(Header{.size = 100});
  write("only this");
  ends_.second.reset();
  EXPECT_EQ(channel_.receive().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelTest, AFrameThatIsTooLargeIsRefusedBeforeItComes) {
  write(Header{.size = static_cast<uint32_t>(kMostFrameBytes) + 1});
  EXPECT_EQ(channel_.receive().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelTest, AFrameThatLiesAboutItsDescriptorsIsRefused) {
  write(Header{.descriptors = 1});
  EXPECT_EQ(channel_.receive().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelTest, MoreDescriptorsThanAFrameHasAreRefused) {
  write(Header{.descriptors = kMostDescriptors + 1});
  EXPECT_EQ(channel_.receive().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelTest, DescriptorsThatNobodyAskedForAreClosed) {
  Channel other(std::move(ends_.second));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const support::Fd read(ends[0]);
  {
    Encoder out;
    out.descriptor(support::Fd(ends[1]));
    ASSERT_TRUE(other.send(Kind::kCall, 0, out).ok());
    ASSERT_TRUE(channel_.receive().ok());
  }
  char got = 0;
  EXPECT_EQ(::read(read.get(), &got, 1), 0) << "all ends to write to are closed";
}

TEST_F(ChannelTest, ALargerContentThanAFrameTakesIsRefusedBeforeAnythingIsSent) {
  Encoder out;
  out.append(std::string(kMostFrameBytes + 1, 'x'));
  EXPECT_EQ(channel_.send(Kind::kCall, 0, out).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(::fcntl(ends_.second.get(), F_SETFL, O_NONBLOCK), 0);
  char got = 0;
  EXPECT_EQ(::read(ends_.second.get(), &got, 1), -1);
}

TEST_F(ChannelTest, PatienceEndsTheWait) {
  struct None final : Patience {
    absl::Status wait(int /*fd*/, short /*events*/) override {
      return absl::DeadlineExceededError("no time");
    }
  } none;
  EXPECT_EQ(channel_.receive(&none).status(), absl::DeadlineExceededError("no time"));
  // Once the socket takes no more.
  Encoder out;
  out.append(std::string(1u << 20, 'x'));
  EXPECT_EQ(channel_.send(Kind::kCall, 0, out, &none), absl::DeadlineExceededError("no time"));
}

}  // namespace
}  // namespace berth::isolation
