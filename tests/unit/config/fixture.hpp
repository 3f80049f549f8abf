// Configuration files of a test's own.
#pragma once

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"
#include "config/config.hpp"

namespace berth::config {

class ConfigTest : public ::testing::Test {
 protected:
  Paths paths() const { return {.file = directory_ / "berth.toml", .dropIns = directory_ / "d"}; }

  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(support::makeDirectories(directory_ / "d").ok());
    ASSERT_TRUE(
        support::replaceFile(directory_ / name, text, 0600, support::Durability::kVisible).ok());
  }

  absl::StatusOr<Config> loadText(std::string_view text) {
    write("berth.toml", text);
    return load(paths());
  }

  // What is wrong with a file, its name left out: "3:1: unknown key ...".
  std::string errorOf(std::string_view text) {
    const auto config = loadText(text);
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << text;
    std::string message(config.status().message());
    const std::string prefix = directory_ / "berth.toml:";
    for (size_t at = message.find(prefix); at != std::string::npos; at = message.find(prefix, at))
      message.erase(at, prefix.size());
    return message;
  }

  berth::testing::TemporaryDirectory directory_;
};

}  // namespace berth::config
