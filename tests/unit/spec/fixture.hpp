// What the tests of specifications share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/host_facts.hpp"
#include "engine/spec/types.hpp"

namespace berth::spec::test {

// A directory that goes with its owner.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const;
  // Makes the directories above it too; the path of the file.
  std::string write(std::string_view name, std::string_view content) const;
  std::string makeDirectory(std::string_view name) const;
  std::string link(std::string_view name, const std::string& target) const;

 private:
  std::string path_;
};

// A host with everything: version 2 cgroups, all capabilities, seccomp, no security modules.
common::HostFacts richHost();

// Turns SELinux on, with the contexts of a policy for containers.
void enableSeLinux(common::HostFacts& host);

// A message from protocol buffers' text form; a mistake in it fails the test.
template <class Message>
Message parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

boost::json::value json(std::string_view text);

// The value at a JSON pointer (RFC 6901); null when there is none.
boost::json::value at(const boost::json::value& document, std::string_view pointer);

std::vector<std::string> texts(const boost::json::value& array);

// The status of either kind of result.
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

// A warning of the request, or of the daemon.
template <class Message>
auto warns(const Message& message, bool isOfDaemon = false) {
  return testing::AllOf(testing::Field(&Warning::text, testing::HasSubstr(std::string(message))),
                        testing::Field(&Warning::isOfDaemon, isOfDaemon));
}

template <class Message>
auto unmet(const Message& message) {
  return FailsWith(absl::StatusCode::kFailedPrecondition, std::string(message));
}

#define ASSERT_OK(expression)                                 \
  ASSERT_TRUE(::berth::spec::test::statusOf(expression).ok()) \
      << ::berth::spec::test::statusOf(expression).ToString()

}  // namespace berth::spec::test
