// Keepers of other versions: what is known is served on, what is not is refused.
#include <fcntl.h>
#include <sys/file.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/recorded_bytes.hpp"
#include "berth/streams/unix_socket.hpp"
#include "berth/support/files.hpp"
#include "keeper_client.hpp"
#include "pod.hpp"
#include "ttrpc_peer.hpp"

namespace berth::kata {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A keeper that answers whatever it is asked with the same packet.
class ScriptedKeeper {
 public:
  ScriptedKeeper(const std::string& directory, std::string answer) : answer_(std::move(answer)) {
    EXPECT_TRUE(support::makeDirectories(directory).ok());
    folder_ = *support::openFile(directory, O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(::flock(folder_.get(), LOCK_EX | LOCK_NB), 0);
    EXPECT_TRUE(streams::isOk(
        streams::listenAt(folder_.get(), keeper::kSocketName, SOCK_SEQPACKET, listener_)));
    ::fcntl(listener_.get(), F_SETFL, 0);  // it waits for clients
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedKeeper() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::unlinkat(folder_.get(), keeper::kSocketName, 0);
  }
  ScriptedKeeper(const ScriptedKeeper&) = delete;
  ScriptedKeeper& operator=(const ScriptedKeeper&) = delete;

 private:
  void serve() {
    for (;;) {
      const support::Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      char packet[4096];
      while (::recv(client.get(), packet, sizeof packet, 0) > 0)
        ::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string answer_;
  support::Fd folder_;
  streams::Fd listener_;
  std::thread thread_;
};

class Silence final : public PodListener {
  void onContainerExited(const std::string&, const ContainerRecord&) override {}
  void onContainerOom(const std::string&, const std::string&) override {}
  void onPodLost(const std::string&, const std::string&) override {}
  void warn(const std::string&, std::string_view, const absl::Status&) override {}
};

class KeeperVersion : public ::testing::Test {
 protected:
  // All ways to a keeper that the plugin has not yet talked to.
  std::vector<absl::Status> meet(const std::string& answer) {
    const PodRecord record{.id = "pod-1", .directory = folder_ / "pod", .keeper = folder_ / "none"};
    const ScriptedKeeper keeper(record.keeperDirectory(), answer);
    const auto pod = *Pod::make(record, listener_);
    const CallLimits limits = limitsFor(10s);
    std::vector<absl::Status> met{pod->keeper().checkVersion("pod-1", limits),
                                  pod->ensureKeeper(limits)};
    // One that it finds there, and one that it has just started.
    for (const char* program : {"/bin/false", "/bin/true"}) {
      met.push_back(startKeeper(
          {.program = program, .pod = "pod-1", .directory = record.keeperDirectory()}, limits));
    }
    return met;
  }

 private:
  ttrpc::test::Folder folder_;
  Silence listener_;
};

class RecordedKeeperVersion : public KeeperVersion,
                              public ::testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Versions, RecordedKeeperVersion,
                         ::testing::ValuesIn(testing::recordedVersions()));

TEST_P(RecordedKeeperVersion, IsKnown) {
  const testing::RecordedBytes recorded(GetParam(), "keeper-packets");
  for (const absl::Status& status : meet(testing::bytesOf(*recorded.find("list-reply"))))
    EXPECT_TRUE(status.ok()) << status;
}

TEST_F(KeeperVersion, WhatIsNotKnownIsRefused) {
  for (const uint32_t version : {keeper::kOldestVersion - 1, keeper::kVersion + 1}) {
    for (const absl::Status& status : meet(keeper::encode({.version = version}))) {
      EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
      EXPECT_THAT(
          std::string(status.message()),
          AllOf(HasSubstr("keeper of pod pod-1"), HasSubstr("version " + std::to_string(version)),
                HasSubstr("knows 1 to 1")));
    }
  }
}

}  // namespace
}  // namespace berth::kata
