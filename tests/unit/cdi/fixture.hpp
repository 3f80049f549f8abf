// What the tests of CDI share.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"

namespace berth::cdi::test {

inline boost::json::value json(std::string_view text) {
  return boost::json::parse(boost::json::string_view(text.data(), text.size()));
}

inline const absl::Status& statusOf(const absl::Status& status) {
  return status;
}
template <class Value>
const absl::Status& statusOf(const absl::StatusOr<Value>& result) {
  return result.status();
}

MATCHER_P2(FailsWith, code, message, "") {
  const absl::Status& status = statusOf(arg);
  *result_listener << "which is " << status.ToString();
  return status.code() == code && status.ToString().find(message) != std::string::npos;
}

template <class Message>
auto invalid(const Message& message) {
  return FailsWith(absl::StatusCode::kInvalidArgument, std::string(message));
}

// Writes a file, making the folders above it.
inline void write(const std::string& path, std::string_view text) {
  ASSERT_TRUE(support::makeDirectories(path.substr(0, path.rfind('/'))).ok());
  ASSERT_TRUE(support::replaceFile(path, text, 0644, support::Durability::kVisible).ok());
}

}  // namespace berth::cdi::test
