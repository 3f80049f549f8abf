// What monitors and their exit records of earlier versions say, and what those are told: the bytes
// of protocol version 1 stay what they were, because monitors outlive the daemon that started them.
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "../../../plugins/runtime-runc/protocol/exit_record.hpp"
#include "../../../plugins/runtime-runc/protocol/messages.hpp"

namespace berth::runc::protocol {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// A line for each: its name, and the frame in hexadecimal digits.
std::map<std::string, std::string> recorded() {
  std::map<std::string, std::string> frames;
  std::ifstream file(FIXTURES "/0.1/frames");
  std::string name;
  std::string frame;
  while (file >> name >> frame) frames[name] = frame;
  return frames;
}

std::string bytesOf(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

// Both ways: this version writes those bytes, and reads its message from them.
template <typename Message>
void expectRecorded(const char* name, Type type, uint16_t flags, const Message& message) {
  const std::string frame = encodeFrame({type, flags, 7}, message);
  const std::string digits = recorded()[name];
  EXPECT_EQ(hex(frame), digits) << name << " " << hex(frame);
  Header header;
  std::string_view fields;
  const std::string bytes = bytesOf(digits);
  ASSERT_FALSE(decodeHeader(bytes, header, fields)) << name;
  EXPECT_EQ(header.type, type);
  EXPECT_EQ(header.flags, flags);
  EXPECT_EQ(header.id, 7u);
  Message read;
  ASSERT_FALSE(decodeFields(fields, read)) << name;
  EXPECT_EQ(encodeFrame({type, flags, 7}, read), bytes) << name;
}

PodFacts facts() {
  PodFacts facts;
  facts.podId = "pod";
  facts.monitorPid = 10;
  facts.initPid = 11;
  facts.netPath = "/run/netns/pod";
  facts.ipcPath = "/proc/10/ns/ipc";
  facts.utsPath = "/proc/10/ns/uts";
  facts.pidPath = "/proc/11/ns/pid";
  facts.userPath = "/proc/10/ns/user";
  return facts;
}

ContainerStatus ended() {
  ContainerStatus status;
  status.containerId = "container";
  status.state = ContainerState::kExited;
  status.startedAt = 1'700'000'000'000'000'001;
  status.finishedAt = 1'700'000'000'000'000'002;
  status.exitCode = 137;
  status.oomKills = 1;
  status.droppedLogBytes = 5;
  return status;
}

CreateContainerRequest creation() {
  CreateContainerRequest request;
  request.containerId = "container";
  request.bundle = "/run/bundle";
  request.logPath = "/var/log/c.log";
  request.terminal = 1;
  request.consoleWidth = 80;
  request.consoleHeight = 24;
  request.cgroupDir = "/sys/fs/cgroup/x";
  request.createArgs = {"--no-pivot"};
  return request;
}

TEST(ProtocolFixtures, TheFramesOfVersion1) {
  expectRecorded("hello", Type::kHello, 0, HelloRequest{1, 1});
  expectRecorded("hello-reply", Type::kHello, kReply,
                 HelloReply{{Code::kOk, ""}, 1, "0.1.0", facts()});
  expectRecorded("start-reply", Type::kStartMonitor, kReply,
                 StartReply{{Code::kOk, ""}, 1, facts()});
  expectRecorded("create-container", Type::kCreateContainer, 0, creation());
  expectRecorded("start-container", Type::kStartContainer, 0, ContainerRequest{"container"});
  expectRecorded("start-container-reply", Type::kStartContainer, kReply,
                 StartContainerReply{{Code::kOk, ""}, 42, 1'700'000'000'000'000'001});
  expectRecorded("kill-container", Type::kKillContainer, 0,
                 KillContainerRequest{"container", 9, KillScope::kAll});
  ListReply list;
  list.containers = {ended()};
  expectRecorded("list-reply", Type::kList, kReply, list);
  expectRecorded("failure", Type::kStartContainer, kReply,
                 PlainReply{{Code::kNotFound, "no such container"}});
}

TEST(ProtocolFixtures, TheExitRecordOf01) {
  std::stringstream text;
  text << std::ifstream(FIXTURES "/0.1/exit").rdbuf();
  ContainerStatus status;
  ASSERT_TRUE(parseExitRecord(text.str(), status));
  EXPECT_EQ(status.containerId.size(), 64u);
  EXPECT_EQ(status.exitCode, 7);
  EXPECT_GT(status.startedAt, 0);
  EXPECT_GE(status.finishedAt, status.startedAt);
  // Of a newer monitor, with more to say.
  ContainerStatus newer;
  EXPECT_TRUE(parseExitRecord(text.str() + "peak_memory=12\ncause=unknown to this one\n", newer));
  EXPECT_EQ(newer.exitCode, 7);
}

}  // namespace
}  // namespace berth::runc::protocol
