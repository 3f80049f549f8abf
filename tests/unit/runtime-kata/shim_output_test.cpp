// What shims' programs write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bootstrap.pb.h"
#include "shim_program.hpp"
#include "shim_times.hpp"

namespace berth::kata {
namespace {

TEST(StartOutput, IsABareAddress) {
  const auto address = parseStartOutput("unix:///run/containerd/s/0123\n");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->address, "unix:///run/containerd/s/0123");
  EXPECT_EQ(address->version, 2);
  EXPECT_EQ(parseStartOutput("/run/s")->address, "/run/s");
}

TEST(StartOutput, IsJson) {
  const auto address =
      parseStartOutput(R"({"version":3,"address":"unix:///run/s","protocol":"ttrpc"})");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->address, "unix:///run/s");
  EXPECT_EQ(address->version, 3);
  EXPECT_EQ(parseStartOutput(R"({"address":"unix:///run/s"})")->version, 2);
}

TEST(StartOutput, IsAMessage) {
  containerd::runtime::bootstrap::v1::BootstrapResult result;
  result.set_version(3);
  result.set_address("unix:///run/s");
  result.set_protocol("ttrpc");
  const auto address = parseStartOutput(result.SerializeAsString());
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->address, "unix:///run/s");
  EXPECT_EQ(address->version, 3);
}

TEST(StartOutput, IsRefused) {
  EXPECT_TRUE(absl::IsInternal(parseStartOutput("").status()));
  EXPECT_TRUE(absl::IsInternal(parseStartOutput("hello").status()));
  EXPECT_TRUE(absl::IsInternal(parseStartOutput("unix:///a\nunix:///b").status()));
  EXPECT_TRUE(absl::IsInternal(parseStartOutput(R"({"version":2})").status()));
  EXPECT_FALSE(parseStartOutput(R"({"version":2,)").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      parseStartOutput(R"({"version":3,"address":"unix:///s","protocol":"grpc"})").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      parseStartOutput(R"({"version":4,"address":"unix:///s"})").status()));
}

TEST(Times, OfNobodyAreNow) {
  google::protobuf::Timestamp time;
  time.set_seconds(-62135596800);
  EXPECT_GT(nanosecondsOf(time), 1'600'000'000'000'000'000);
  time.set_seconds(INT64_MAX);
  EXPECT_GT(nanosecondsOf(time), 1'600'000'000'000'000'000);
  time.set_seconds(1'700'000'000);
  time.set_nanos(5);
  EXPECT_EQ(nanosecondsOf(time), 1'700'000'000'000'000'005);
}

}  // namespace
}  // namespace berth::kata
