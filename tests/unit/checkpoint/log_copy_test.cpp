#include "engine/checkpoint/log_copy.hpp"

#include "fixture.hpp"

namespace berth::checkpoint {
namespace {

class LogCopyTest : public CheckpointTest {
 protected:
  LogCopy look(const std::string& name) {
    auto log = LogCopy::look(path(name));
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
};

TEST_F(LogCopyTest, HasWhatWasThereWhenItWasLookedAt) {
  const std::string before(3u << 20, 'b');
  writeText(path("log"), before);
  const LogCopy log = look("log");
  std::filesystem::rename(path("log"), path("log.1"));  // rotated
  writeText(path("log"), "another");
  std::ofstream(path("log.1"), std::ios::app) << "after";
  ASSERT_TRUE(log.writeTo(path("copy"), goOn).ok());
  EXPECT_EQ(readText(path("copy")), before);
}

TEST_F(LogCopyTest, WhatHasNoLogGetsNone) {
  ASSERT_TRUE(look("none").writeTo(path("copy"), goOn).ok());
  ASSERT_TRUE(LogCopy::look("")->writeTo(path("copy"), goOn).ok());
  EXPECT_FALSE(std::filesystem::exists(path("copy")));
}

TEST_F(LogCopyTest, EndsWhenItIsCutShort) {
  writeText(path("log"), "a line\nanother\n");
  const LogCopy log = look("log");
  std::filesystem::resize_file(path("log"), 7);
  ASSERT_TRUE(log.writeTo(path("copy"), goOn).ok());
  EXPECT_EQ(readText(path("copy")), "a line\n");
}

TEST_F(LogCopyTest, EndsWhenItIsNotWantedAnyMore) {
  writeText(path("log"), std::string(5u << 20, 'x'));
  int asked = 0;
  const absl::Status status = look("log").writeTo(path("copy"), [&] {
    return ++asked < 3 ? absl::OkStatus() : absl::CancelledError("enough");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_LT(std::filesystem::file_size(path("copy")), 3u << 20);
}

}  // namespace
}  // namespace berth::checkpoint
