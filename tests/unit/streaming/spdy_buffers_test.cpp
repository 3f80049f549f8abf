// Windows and byte queues.
#include <algorithm>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "streaming/spdy/byte_queue.hpp"
#include "streaming/spdy/window.hpp"

namespace berth::streaming::spdy {
namespace {

TEST(SpdySendWindowTest, FallsBelowZeroAndNeverTooHigh) {
  SendWindow window;
  EXPECT_EQ(window.left(), kInitialWindow);
  window.sent(60u << 10);
  // The specification's example: the client makes the window smaller while bytes are on their way.
  ASSERT_TRUE(window.grow((16 << 10) - (64 << 10)));
  EXPECT_EQ(window.left(), 0u);
  ASSERT_TRUE(window.grow(44 << 10));
  EXPECT_EQ(window.left(), 0u);
  ASSERT_TRUE(window.grow(1));
  EXPECT_EQ(window.left(), 1u);
  EXPECT_FALSE(window.grow(kMaxWindow));
  EXPECT_EQ(window.left(), 1u);
  EXPECT_TRUE(window.grow(kMaxWindow - 1));
}

TEST(SpdyReceiveWindowTest, IsRenewedByHalves) {
  ReceiveWindow window(1000);
  window.received(1000);
  EXPECT_EQ(window.room(), 0u);
  EXPECT_EQ(window.released(499), 0u);
  EXPECT_EQ(window.room(), 499u);
  EXPECT_EQ(window.released(1), 500u);
  EXPECT_EQ(window.released(500), 500u);
  EXPECT_EQ(window.held(), 0u);
  EXPECT_EQ(window.released(0), 0u);
}

TEST(SpdyByteQueueTest, GivesWhatItGotInOrder) {
  std::mt19937 random(7);
  ByteQueue queue;
  uint8_t written = 0;
  uint8_t read = 0;
  size_t size = 0;
  for (int round = 0; round < 5000; ++round) {
    std::vector<uint8_t> bytes(random() % (round % 2 == 0 ? 100 : 40000));
    for (uint8_t& byte : bytes) byte = written++;
    queue.append(bytes);
    size += bytes.size();
    ASSERT_EQ(queue.size(), size);
    std::vector<uint8_t> into(random() % 45000);
    const size_t taken = queue.take(into);
    ASSERT_EQ(taken, std::min(size, into.size()));
    for (size_t i = 0; i < taken; ++i) ASSERT_EQ(into[i], read++);
    size -= taken;
  }
  queue.clear();
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace berth::streaming::spdy
