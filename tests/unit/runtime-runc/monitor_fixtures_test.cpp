// What monitors and their exit records of each version say, and what those are told: the bytes
// of protocol version 1 stay what they were, because monitors outlive the daemon that started them.
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "../../../plugins/runtime-runc/protocol/exit_record.hpp"
#include "../../../plugins/runtime-runc/protocol/messages.hpp"
#include "../support/recorded_bytes.hpp"

namespace berth::runc::protocol {
namespace {

using berth::testing::bytesOf;
using berth::testing::digitsOf;

class ProtocolFixtures : public ::testing::TestWithParam<std::string> {
 protected:
  // Both ways: this version writes those bytes, and reads its message from them.
  template <typename Message>
  void expectRecorded(const char* name, Type type, uint16_t flags, const Message& message) const {
    const std::string frame = encodeFrame({type, flags, 7}, message);
    const std::optional<std::string> digits = recorded_.find(name);
    if (!digits) return;
    EXPECT_EQ(digitsOf(frame), *digits) << name << " " << digitsOf(frame);
    Header header;
    std::string_view fields;
    const std::string bytes = bytesOf(*digits);
    ASSERT_FALSE(decodeHeader(bytes, header, fields)) << name;
    EXPECT_EQ(header.type, type);
    EXPECT_EQ(header.flags, flags);
    EXPECT_EQ(header.id, 7u);
    Message read;
    ASSERT_FALSE(decodeFields(fields, read)) << name;
    EXPECT_EQ(encodeFrame({type, flags, 7}, read), bytes) << name;
  }

 private:
  const berth::testing::RecordedBytes recorded_{GetParam(), "frames"};
};

INSTANTIATE_TEST_SUITE_P(Versions, ProtocolFixtures,
                         ::testing::ValuesIn(berth::testing::recordedVersions()));

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

StartRequest podStart() {
  StartRequest request;
  request.minVersion = request.maxVersion = 1;
  request.podId = "pod";
  request.runDir = "/run/pod";
  request.hostname = "web";
  request.sysctls = {{"net.ipv4.ip_forward", "1"}};
  request.net = request.ipc = request.uts = request.pid = request.user = NamespaceMode::kNew;
  request.uidMappings = request.gidMappings = {{0, 100000, 65536}};
  request.netPin = "/run/netns/pod";
  request.runtimePath = "/usr/sbin/runc";
  request.runtimeRoot = "/run/runc";
  request.runtimeArgs = {"--systemd-cgroup"};
  request.runtimeEnvironment = {"A=b"};
  request.setOomScoreAdj = 1;
  request.oomScoreAdj = -998;
  request.cgroupDirs = {"/sys/fs/cgroup/pod"};
  request.runtimeCopy = "/proc/9/fd/8";
  return request;
}

ExecRequest execution() {
  ExecRequest request;
  request.containerId = "container";
  request.execId = "exec";
  request.processPath = "/run/pod/process.json";
  request.terminal = 1;
  request.consoleWidth = 80;
  request.consoleHeight = 24;
  request.timeoutMs = 5000;
  request.onDisconnect = OnDisconnect::kKill;
  request.descriptors = kStdin | kStdout;
  return request;
}

ExecStatus executed() {
  ExecStatus status;
  status.containerId = "container";
  status.execId = "exec";
  status.state = ExecState::kExited;
  status.pid = 43;
  status.exitCode = 137;
  status.timedOut = 1;
  status.finishedAt = 1'700'000'000'000'000'003;
  return status;
}

TEST_P(ProtocolFixtures, TheFramesOfVersion1) {
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

// Of each type that the protocol has, test_upgrades.py sees to it.
TEST_P(ProtocolFixtures, TheOtherFramesOfVersion1) {
  const ExecIdRequest exec{"container", "exec"};
  const StartContainerReply started{{Code::kOk, ""}, 42, 1'700'000'000'000'000'001};
  ListReply listing;
  listing.containers = {ended()};
  listing.execs = {executed()};
  expectRecorded("start", Type::kStartMonitor, 0, podStart());
  expectRecorded("delete-container", Type::kDeleteContainer, 0, ContainerRequest{"container"});
  expectRecorded("exec", Type::kExec, 0, execution());
  expectRecorded("exec-reply", Type::kExec, kReply, ExecReply{{Code::kOk, ""}, 43});
  expectRecorded("wait-exec", Type::kWaitExec, 0, exec);
  expectRecorded("wait-exec-reply", Type::kWaitExec, kReply,
                 WaitExecReply{{Code::kOk, ""}, executed()});
  expectRecorded("kill-exec", Type::kKillExec, 0,
                 KillExecRequest{"container", "exec", 9, KillScope::kAll});
  expectRecorded("attach", Type::kAttach, 0, AttachRequest{"container", kStdin | kStderr});
  expectRecorded("resize", Type::kResize, 0, ResizeRequest{"container", "exec", 80, 24});
  expectRecorded("close-stdin", Type::kCloseStdin, 0, exec);
  expectRecorded("reopen-log", Type::kReopenLog, 0,
                 ReopenLogRequest{"container", "/var/log/new.log"});
  expectRecorded("list", Type::kList, 0, Empty{});
  expectRecorded("subscribe", Type::kSubscribe, 0, Empty{});
  expectRecorded("subscribe-reply", Type::kSubscribe, kReply | kMore, listing);
  expectRecorded("shutdown", Type::kShutdown, 0, Empty{});
  expectRecorded("checkpoint-container", Type::kCheckpointContainer, 0,
                 CheckpointContainerRequest{"container", {"--image-path", "/checkpoint"}});
  expectRecorded("cancel-checkpoint", Type::kCancelCheckpoint, 0, ContainerRequest{"container"});
  expectRecorded("cancel-delete", Type::kCancelDelete, 0, ContainerRequest{"container"});
  expectRecorded("restore-container", Type::kRestoreContainer, 0,
                 RestoreContainerRequest{"container", {"--image-path", "/checkpoint"}});
  expectRecorded("restore-container-reply", Type::kRestoreContainer, kReply, started);
  expectRecorded("container-exited", Type::kContainerExited, 0, ContainerExitedEvent{ended()});
  expectRecorded("oom-killed", Type::kOomKilled, 0, OomKilledEvent{"container", 2});
  for (const auto& [name, type] :
       std::map<const char*, Type>{{"create-container-reply", Type::kCreateContainer},
                                   {"kill-container-reply", Type::kKillContainer},
                                   {"delete-container-reply", Type::kDeleteContainer},
                                   {"kill-exec-reply", Type::kKillExec},
                                   {"attach-reply", Type::kAttach},
                                   {"resize-reply", Type::kResize},
                                   {"close-stdin-reply", Type::kCloseStdin},
                                   {"reopen-log-reply", Type::kReopenLog},
                                   {"shutdown-reply", Type::kShutdown},
                                   {"checkpoint-container-reply", Type::kCheckpointContainer},
                                   {"cancel-checkpoint-reply", Type::kCancelCheckpoint},
                                   {"cancel-delete-reply", Type::kCancelDelete}}) {
    expectRecorded(name, type, kReply, PlainReply{{Code::kOk, ""}});
  }
}

TEST_P(ProtocolFixtures, TheExitRecordIsRead) {
  std::stringstream text;
  text << std::ifstream(berth::testing::fixtureOf(GetParam(), "exit")).rdbuf();
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
