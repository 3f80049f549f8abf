// The protocol's frames: round trips, and bytes that are not frames.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../../plugins/runtime-runc/protocol/exit_record.hpp"
#include "../../../plugins/runtime-runc/protocol/messages.hpp"

namespace berth::runc::protocol {
namespace {

template <typename T>
T roundTrip(const T& message) {
  const std::string frame = encodeFrame({Type::kExec, kReply, 77}, message);
  Header header;
  std::string_view fields;
  EXPECT_FALSE(decodeHeader(frame, header, fields));
  EXPECT_EQ(header.type, Type::kExec);
  EXPECT_EQ(header.flags, kReply);
  EXPECT_EQ(header.id, 77u);
  T decoded;
  const DecodeError error = decodeFields(fields, decoded);
  EXPECT_FALSE(error) << error.what;
  return decoded;
}

StartRequest fullStartRequest() {
  StartRequest request;
  request.podId = "pod";
  request.runDir = "/run/pod";
  request.hostname = std::string("a\0b", 3);
  request.sysctls = {{"net.a", "1"}, {"net.b", ""}};
  request.net = NamespaceMode::kNew;
  request.uidMappings = {{0, 4294967295u, 65536}};
  request.runtimeArgs = {"--systemd-cgroup", ""};
  request.setOomScoreAdj = 1;
  request.oomScoreAdj = -999;
  return request;
}

TEST(Wire, RoundTripOfEveryKindOfField) {
  const StartRequest decoded = roundTrip(fullStartRequest());
  EXPECT_EQ(decoded.podId, "pod");
  EXPECT_EQ(decoded.hostname, std::string("a\0b", 3));
  ASSERT_EQ(decoded.sysctls.size(), 2u);
  EXPECT_EQ(decoded.sysctls[0].name, "net.a");
  EXPECT_EQ(decoded.sysctls[1].value, "");
  EXPECT_EQ(decoded.net, NamespaceMode::kNew);
  EXPECT_EQ(decoded.ipc, NamespaceMode::kHost);
  ASSERT_EQ(decoded.uidMappings.size(), 1u);
  EXPECT_EQ(decoded.uidMappings[0].hostId, 4294967295u);
  EXPECT_EQ(decoded.runtimeArgs, (std::vector<std::string>{"--systemd-cgroup", ""}));
  EXPECT_EQ(decoded.oomScoreAdj, -999);
}

// A peer that says 0 must not be taken for one that speaks the version of this build.
TEST(Wire, AVersionOfZeroStaysOne) {
  StartRequest start;
  start.minVersion = start.maxVersion = 0;
  const StartRequest decoded = roundTrip(start);
  EXPECT_EQ(decoded.minVersion, 0u);
  EXPECT_EQ(decoded.maxVersion, 0u);
  HelloRequest hello;
  hello.maxVersion = 0;
  EXPECT_EQ(roundTrip(hello).maxVersion, 0u);
}

TEST(Wire, RoundTripOfLists) {
  ListReply reply;
  reply.result = {Code::kNotFound, "no"};
  for (int i = 0; i < 100; ++i) {
    ContainerStatus status;
    status.containerId.assign("c").append(std::to_string(i));
    status.state = ContainerState::kExited;
    status.exitCode = i;
    status.finishedAt = INT64_MAX;
    status.oomKills = UINT64_MAX;
    reply.containers.push_back(status);
  }
  reply.execs.resize(3);
  const ListReply decoded = roundTrip(reply);
  EXPECT_EQ(decoded.result.code, Code::kNotFound);
  ASSERT_EQ(decoded.containers.size(), 100u);
  EXPECT_EQ(decoded.containers[99].exitCode, 99);
  EXPECT_EQ(decoded.containers[99].finishedAt, INT64_MAX);
  EXPECT_EQ(decoded.containers[99].oomKills, UINT64_MAX);
  EXPECT_EQ(decoded.execs.size(), 3u);
}

TEST(Wire, DefaultsTakeNoSpaceAndComeBack) {
  EXPECT_EQ(encodeFrame({Type::kList, 0, 1}, ContainerRequest{}).size(), kHeaderSize);
  HelloRequest request;
  EXPECT_FALSE(decodeFields({}, request));
  EXPECT_EQ(request.maxVersion, kVersion);
}

TEST(Wire, UnknownFieldsAreSkipped) {
  std::string fields;
  Encoder encoder(fields);
  encoder.field(9999, std::string("of a later version"));
  encoder.field(1, std::string("id"));
  encoder.field(2000, uint64_t{5});
  ContainerRequest request;
  EXPECT_FALSE(decodeFields(fields, request));
  EXPECT_EQ(request.containerId, "id");
}

TEST(Wire, EveryTruncationIsAFaultOrAShorterMessage) {
  const std::string frame = encodeFrame({Type::kStartMonitor, 0, 0}, fullStartRequest());
  size_t faults = 0;
  for (size_t length = 0; length < frame.size(); ++length) {
    Header header;
    std::string_view fields;
    const DecodeError error =
        decodeHeader(std::string_view(frame).substr(0, length), header, fields);
    if (length < kHeaderSize) {
      EXPECT_TRUE(error) << length;
      continue;
    }
    StartRequest request;
    if (decodeFields(fields, request)) ++faults;
  }
  // Only a cut between two top-level fields goes unnoticed.
  EXPECT_GT(faults, frame.size() - kHeaderSize - 30);
}

TEST(Wire, GarbageNeverOverruns) {
  std::mt19937 random(4711);
  const std::string frame = encodeFrame({Type::kStartMonitor, 0, 0}, fullStartRequest());
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = frame;
    for (int change = 0; change < 4; ++change) {
      damaged[kHeaderSize + random() % (damaged.size() - kHeaderSize)] =
          static_cast<char>(random());
    }
    Header header;
    std::string_view fields;
    ASSERT_FALSE(decodeHeader(damaged, header, fields));
    StartRequest request;
    decodeFields(fields, request);
    EXPECT_LE(request.podId.size(), damaged.size());
    ListReply reply;
    decodeFields(fields, reply);
    EXPECT_LE(reply.containers.size(), damaged.size());
  }
}

TEST(Wire, AFaultNamesTheField) {
  std::string fields;
  Encoder encoder(fields);
  encoder.field(2, std::string("four"));  // `signal` is a number
  KillContainerRequest request;
  const DecodeError error = decodeFields(fields, request);
  ASSERT_TRUE(error);
  EXPECT_EQ(error.tag, 2);
  EXPECT_THAT(error.what, testing::HasSubstr("8 bytes"));
}

TEST(Wire, NestingIsBounded) {
  std::string inner;
  for (int i = 0; i < 50; ++i) {
    std::string outer;
    Encoder encoder(outer);
    encoder.field(1, inner);
    inner = outer;
  }
  WaitExecReply reply;
  decodeFields(inner, reply);  // the depth of the bytes does not matter, only the messages'
  EXPECT_EQ(reply.result.code, Code::kOk);
}

TEST(ExitRecord, RoundTrip) {
  ContainerStatus status;
  status.containerId = "abc";
  status.exitCode = 137;
  status.startedAt = 1700000000123456789;
  status.finishedAt = 1700000001123456789;
  status.oomKills = 2;
  status.droppedLogBytes = 7;
  ContainerStatus read;
  ASSERT_TRUE(parseExitRecord(formatExitRecord(status), read));
  EXPECT_EQ(read.containerId, "abc");
  EXPECT_EQ(read.state, ContainerState::kExited);
  EXPECT_EQ(read.exitCode, 137);
  EXPECT_EQ(read.startedAt, status.startedAt);
  EXPECT_EQ(read.finishedAt, status.finishedAt);
  EXPECT_EQ(read.oomKills, 2u);
  EXPECT_EQ(read.droppedLogBytes, 7u);
}

TEST(ExitRecord, IncompleteOnesAreRefused) {
  ContainerStatus status;
  status.containerId = "abc";
  const std::string text = formatExitRecord(status);
  ContainerStatus read;
  EXPECT_FALSE(parseExitRecord("", read));
  EXPECT_FALSE(parseExitRecord("container=abc\n", read));
  EXPECT_FALSE(parseExitRecord("exit_code=1\n", read));
  EXPECT_FALSE(parseExitRecord(text.substr(0, text.size() - 1), read));
  EXPECT_FALSE(parseExitRecord("no equals sign\n" + text, read));
  EXPECT_TRUE(parseExitRecord("of_tomorrow=x\n" + text, read));
}

}  // namespace
}  // namespace berth::runc::protocol
