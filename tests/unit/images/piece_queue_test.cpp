#include "images/piece_queue.hpp"

#include <future>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "content.hpp"

namespace berth::images {
namespace {

std::string readAll(PieceQueue& queue, absl::Status& end) {
  std::string text;
  for (;;) {
    auto piece = queue.next();
    end = piece.status();
    if (!piece.ok() || piece->empty()) return text;
    text += *piece;
  }
}

TEST(PieceQueueTest, GivesWhatWasWrittenInOrder) {
  const std::string text = testing::noise(10u << 20);
  PieceQueue queue;
  std::thread writer([&] {
    for (size_t at = 0; at < text.size(); at += 16384) {
      ASSERT_TRUE(queue.write(std::string_view(text).substr(at, 16384)).ok());
    }
    queue.close(absl::OkStatus());
  });
  absl::Status end;
  EXPECT_TRUE(readAll(queue, end) == text);
  EXPECT_TRUE(end.ok());
  EXPECT_TRUE(queue.next()->empty()) << "the end stays the end";
  writer.join();
}

TEST(PieceQueueTest, NothingWrittenIsEmpty) {
  PieceQueue queue;
  queue.close(absl::OkStatus());
  EXPECT_TRUE(queue.next()->empty());
}

TEST(PieceQueueTest, AFailureComesAfterWhatWasWholeBefore) {
  PieceQueue queue;
  ASSERT_TRUE(queue.write(std::string(256u << 10, 'x')).ok());
  queue.close(absl::UnavailableError("broke off"));
  absl::Status end;
  EXPECT_EQ(readAll(queue, end).size(), 256u << 10);
  EXPECT_EQ(end, absl::UnavailableError("broke off"));
}

// The writer of a full queue waits until something is read, or the reader has gone.
TEST(PieceQueueTest, AWriterIsHeldUpAndFreedByTheReadersEnd) {
  PieceQueue queue;
  std::atomic<size_t> written{0};
  auto writer = std::async(std::launch::async, [&] {
    absl::Status status;
    while (status.ok()) {
      status = queue.write(std::string(64u << 10, 'x'));
      if (status.ok()) written += 64u << 10;
    }
    return status;
  });
  ASSERT_TRUE(queue.next().ok());
  queue.abandon();
  EXPECT_EQ(writer.get().code(), absl::StatusCode::kCancelled);
  EXPECT_LE(written, 4u << 20) << "memory is bounded";
}

TEST(PieceQueueTest, ClosingAfterTheReadersEndDoesNotHang) {
  PieceQueue queue;
  ASSERT_TRUE(queue.write("x").ok());
  queue.abandon();
  queue.close(absl::OkStatus());
}

}  // namespace
}  // namespace berth::images
