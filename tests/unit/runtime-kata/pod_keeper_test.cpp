// What calls and pods have of a keeper, and what they do when it ends.
#include <filesystem>
#include <set>
#include <sys/socket.h>

#include "keeper_fixture.hpp"
#include "pod.hpp"

namespace berth::kata {
namespace {

class Listener final : public PodListener {
 public:
  int warnings = 0;

 private:
  void onContainerExited(const std::string&, const ContainerRecord&) override {}
  void onContainerOom(const std::string&, const std::string&) override {}
  void onPodLost(const std::string&, const std::string&) override {}
  void warn(const std::string&, std::string_view, const absl::Status&) override { ++warnings; }
};

class PodKeeper : public KeeperTest {
 protected:
  PodKeeper() {
    record.id = "pod";
    record.directory = folder / "pod";
    std::filesystem::create_directories(record.streamsDirectory());
    std::filesystem::create_directory_symlink(folder / "", record.keeperDirectory());
  }

  void makeStreams(const std::string& key) {
    for (const char* stream : {"-out", "-err"}) {
      ASSERT_EQ(::mkfifo((record.streamsDirectory() + "/" + key + stream).c_str(), 0600), 0);
    }
  }
  std::set<std::string> openKeys() {
    std::set<std::string> keys;
    const auto known = call({.operation = Operation::kList});
    EXPECT_TRUE(known.ok()) << known.status();
    if (!known.ok()) return keys;
    for (const keeper::Entry& entry : known->entries) keys.insert(entry.key);
    return keys;
  }

  PodRecord record;
  Listener listener;
};

TEST_F(PodKeeper, HangsUpOnThoseWhoNeedIt) {
  auto connection = client.connect(limitsFor(kTime));
  ASSERT_TRUE(connection.ok()) << connection.status();
  for (int i = 0; i < 2; ++i) {
    const auto answer =
        KeeperClient::ask(*connection, {.operation = Operation::kList}, limitsFor(kTime));
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  Exec exec;
  exec.keeper = *std::move(connection);
  const CallLimits shortly = exec.withStreams(limitsFor(std::chrono::milliseconds(20)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(waitFor(-1, 0, shortly, "wait")));
  stop();
  const absl::Status cut = waitFor(-1, 0, exec.withStreams(limitsFor(kTime)), "wait");
  EXPECT_TRUE(absl::IsUnavailable(cut)) << cut;
  EXPECT_EQ(cut.message(), "wait: the pod's keeper, which had its streams, has ended");
  EXPECT_TRUE(absl::IsUnavailable(
      KeeperClient::ask(exec.keeper, {.operation = Operation::kList}, limitsFor(kTime)).status()));
  start();
}

TEST_F(PodKeeper, IsGivenTheStreamsThatItLacks) {
  const auto pod = Pod::make(record, listener);
  ASSERT_TRUE(pod.ok()) << pod.status();
  for (const char* key : {"runs", "ended", "runs.kept", "runs.lost"}) makeStreams(key);
  for (const auto& [id, stage] : {std::pair{"runs", Stage::kRunning},
                                  {"ended", Stage::kExited},
                                  {"is-made", Stage::kCreated}}) {
    ContainerRecord container;
    container.id = id;
    container.stage = stage;
    ASSERT_TRUE((*pod)->add(container).ok());
  }
  auto kept = client.connect(limitsFor(kTime));
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_TRUE((*pod)->addExec("runs", "kept", *std::move(kept)).ok());
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  ::close(ends[1]);
  ASSERT_TRUE((*pod)->addExec("runs", "lost", support::Fd(ends[0])).ok());

  for (int i = 0; i < 2; ++i) {
    const absl::Status ensured = (*pod)->ensureKeeper(limitsFor(kTime));
    EXPECT_TRUE(ensured.ok()) << ensured;
    // The exec whose keeper this is has its streams opened by who started it.
    EXPECT_EQ(openKeys(), (std::set<std::string>{"runs", "runs.lost"}));
  }
  EXPECT_EQ(listener.warnings, 0);
}

}  // namespace
}  // namespace berth::kata
