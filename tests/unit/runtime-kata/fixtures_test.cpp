// What keepers of each version say and are told, and what its plugin has written down: a
// keeper outlives the daemon that started it, and records outlive both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/recorded_bytes.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "keeper/protocol.hpp"
#include "records.hpp"

namespace berth::kata {
namespace {

using keeper::Operation;
using testing::bytesOf;
using testing::digitsOf;
using ::testing::HasSubstr;

class KeeperFixtures : public ::testing::TestWithParam<std::string> {
 protected:
  // Both ways: this version writes those bytes, and reads its message from them.
  template <typename Message>
  void expectRecorded(const std::string& name, const Message& message) const {
    const std::string packet = keeper::encode(message);
    const std::optional<std::string> digits = recorded_.find(name);
    if (!digits) return;
    EXPECT_EQ(digitsOf(packet), *digits) << name << " " << digitsOf(packet);
    Message read;
    ASSERT_TRUE(keeper::decode(bytesOf(*digits), read)) << name;
    EXPECT_EQ(digitsOf(keeper::encode(read)), *digits) << name;
  }

 private:
  const testing::RecordedBytes recorded_{GetParam(), "keeper-packets"};
};

INSTANTIATE_TEST_SUITE_P(Versions, KeeperFixtures,
                         ::testing::ValuesIn(testing::recordedVersions()));

keeper::Request opening() {
  keeper::Request request;
  request.operation = Operation::kOpen;
  request.key = "container.exec";
  request.input = "/streams/in";
  request.output = "/streams/out";
  request.error = "/streams/err";
  request.log = "/var/log/c.log";
  request.inputMode = keeper::Input::kWithFirstSession;
  request.bound = 1;
  return request;
}

keeper::Reply listing() {
  keeper::Reply reply;
  reply.version = 1;
  reply.entries = {{"container", 1, 0}, {"other", 0, 1}};
  return reply;
}

// Of each operation and event that the protocol has, test_upgrades.py sees to it.
TEST_P(KeeperFixtures, Packets) {
  const std::string key = "container";
  expectRecorded("open", opening());
  expectRecorded("attach", keeper::Request{.operation = Operation::kAttach,
                                           .key = key,
                                           .descriptors = keeper::kInput | keeper::kOutput});
  expectRecorded(
      "reopen-log",
      keeper::Request{.operation = Operation::kReopenLog, .key = key, .log = "/var/log/new.log"});
  expectRecorded("close-input", keeper::Request{.operation = Operation::kCloseInput, .key = key});
  expectRecorded(
      "finish",
      keeper::Request{
          .operation = Operation::kFinish, .key = key, .timeoutMs = 2000, .awaitExit = 1});
  expectRecorded("forget", keeper::Request{.operation = Operation::kForget, .key = key});
  expectRecorded("list", keeper::Request{.operation = Operation::kList});
  expectRecorded("subscribe", keeper::Request{.operation = Operation::kSubscribe});
  expectRecorded("shut-down", keeper::Request{.operation = Operation::kShutDown});
  keeper::Request again = opening();
  again.cgroup = "/sys/fs/cgroup/pod/c";
  expectRecorded("open-again", again);
  expectRecorded("watch-memory", keeper::Request{.operation = Operation::kWatchMemory,
                                                 .key = key,
                                                 .cgroup = "/sys/fs/cgroup/pod/c"});
  expectRecorded("reply", keeper::Reply{});
  expectRecorded("list-reply", listing());
  expectRecorded("failure-reply",
                 keeper::Reply{.status = {streams::Code::kNotFound, "no such process"}});
  expectRecorded("input-ended-event",
                 keeper::Reply{.event = keeper::EventKind::kInputEnded, .key = key});
  expectRecorded("oom-killed-event",
                 keeper::Reply{.event = keeper::EventKind::kOomKilled, .key = key});
}

std::string identityIn(const std::string& text) {
  return support::stringMember(*support::parseJsonObject(text, "fixture"), "id");
}

class RecordFixtures : public ::testing::TestWithParam<std::string> {
 protected:
  static std::string record(const std::string& name) {
    return *support::readFile(testing::fixtureOf(GetParam(), "kata/" + name + ".json"));
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, RecordFixtures,
                         ::testing::ValuesIn(testing::recordedVersions()));

TEST_P(RecordFixtures, ThePodIsRead) {
  const std::string text = record("pod");
  const auto pod = parsePodRecord(identityIn(text), text);
  ASSERT_TRUE(pod.ok()) << pod.status();
  EXPECT_EQ(pod->netPin, "/run/netns/berth-" + pod->id);
  EXPECT_EQ(pod->shim, "/usr/bin/containerd-shim-runc-v2");
  EXPECT_THAT(pod->keeper, HasSubstr("berth-keeper"));
  EXPECT_TRUE(pod->namespaces);
  EXPECT_THAT(pod->address.address, HasSubstr("unix://"));
  EXPECT_GT(pod->shimPid, 0);
  EXPECT_GT(pod->shimStart, 0u);
  EXPECT_GT(pod->sandboxPid, 0);
  EXPECT_FALSE(pod->stopped);
}

TEST(PodRecords, OneWithoutAVersionIsDamaged) {
  const absl::Status status = parsePodRecord("pod", "{}").status();
  EXPECT_TRUE(isDamage(status)) << status;
}

TEST_P(RecordFixtures, TheContainersAreRead) {
  char folder[] = "/tmp/berth-records-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const PodRecord pod{.directory = folder};
  ASSERT_TRUE(support::makeDirectories(pod.containersDirectory()).ok());
  for (const char* name : {"running", "exited"}) {
    const std::string text = record(name);
    ASSERT_TRUE(support::replaceFile(pod.containersDirectory() + "/" + identityIn(text) + ".json",
                                     text, 0600, support::Durability::kVisible)
                    .ok());
  }
  std::vector<support::DamagedFile> damages;
  const auto containers = loadContainers(pod, damages);
  EXPECT_TRUE(support::removeTree(folder).ok());
  ASSERT_TRUE(containers.ok()) << containers.status();
  EXPECT_TRUE(damages.empty());
  ASSERT_EQ(containers->size(), 2u);
  for (const ContainerRecord& one : *containers) {
    EXPECT_THAT(one.bundle, HasSubstr(one.id));
    EXPECT_GT(one.startedAt, 0);
    EXPECT_EQ(one.cgroup.empty(), GetParam() == "0.1") << "no container of its time has one";
    const bool runs = one.stage == Stage::kRunning;
    EXPECT_GT(one.pid, 0);
    EXPECT_EQ(one.exitCode, runs ? 0 : 7);
  }
  EXPECT_NE(containers->at(0).stage, containers->at(1).stage);
}

}  // namespace
}  // namespace berth::kata
