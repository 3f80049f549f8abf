// What calls and pods have of a keeper, and what they do when it ends.
#include <atomic>
#include <filesystem>
#include <future>
#include <set>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "exec_end.hpp"
#include "keeper_fixture.hpp"
#include "pod.hpp"
#include "pod_end.hpp"

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
  // A connection to a keeper that has died.
  static support::Fd hungUp() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ::close(ends[1]);
    return support::Fd(ends[0]);
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
  ASSERT_TRUE((*pod)->addExec("runs", "lost", hungUp()).ok());

  for (int i = 0; i < 2; ++i) {
    const absl::Status ensured = (*pod)->ensureKeeper(limitsFor(kTime));
    EXPECT_TRUE(ensured.ok()) << ensured;
    // The exec whose keeper this is has its streams opened by who started it.
    EXPECT_EQ(openKeys(), (std::set<std::string>{"runs", "runs.lost"}));
  }
  EXPECT_EQ(listener.warnings, 0);
}

TEST_F(PodKeeper, IsGivenLaterWhatItCannotOpenAtFirst) {
  const auto pod = Pod::make(record, listener);
  ASSERT_TRUE(pod.ok()) << pod.status();
  makeStreams("runs");
  ContainerRecord container;
  container.id = "runs";
  container.stage = Stage::kRunning;
  container.log = folder / "logs/runs";
  ASSERT_TRUE((*pod)->add(container).ok());
  const absl::Status ensured = (*pod)->ensureKeeper(limitsFor(kTime));
  EXPECT_TRUE(ensured.ok()) << ensured;
  EXPECT_EQ(openKeys(), std::set<std::string>());
  const absl::Status listens = (*pod)->listen();
  ASSERT_TRUE(listens.ok()) << listens;

  std::filesystem::create_directory(folder / "logs");
  const auto until = std::chrono::steady_clock::now() + kTime;
  while (openKeys().empty() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(openKeys(), std::set<std::string>{"runs"});
  (*pod)->close();
  EXPECT_EQ(listener.warnings, 1) << "each time that it is tried again is nothing to tell";
}

// A shim may wait at the streams of what was left, and answer nothing until then. What it has
// forgotten meanwhile has none.
TEST_F(PodKeeper, HasTheStreamsOfWhatWasLeftBeforeTheShimIsAsked) {
  makeStreams("c.e");
  for (const std::string state : {"known", "forgotten"}) {
    std::promise<void> asked;
    std::vector<ttrpc::Responder> waiting;
    const ttrpc::test::ServerThread shim(
        folder / state, [&](const ttrpc::Request& request, ttrpc::Responder responder) {
          EXPECT_EQ(request.method, "State");
          waiting.push_back(responder);
          if (waiting.size() == 1) asked.set_value();
        });
    record.address = {.address = "unix://" + (folder / state), .version = 2};
    const auto pod = Pod::make(record, listener);
    ASSERT_TRUE(pod.ok()) << pod.status();
    const absl::Status listens = (*pod)->listen();
    ASSERT_TRUE(listens.ok()) << listens;
    const auto exec = (*pod)->addExec("c", "e", hungUp());
    ASSERT_TRUE(exec.ok()) << exec.status();
    if (state == "forgotten") (*pod)->removeExec(**exec);
    (*pod)->endExecLater(*exec);
    EXPECT_EQ(asked.get_future().wait_for(kTime), std::future_status::ready);
    EXPECT_EQ(openKeys(), state == "known" ? std::set<std::string>{"c.e"} : std::set<std::string>())
        << state;
    (*pod)->close();
    EXPECT_TRUE(call({.operation = Operation::kForget, .key = "c.e"}).ok());
  }
}

// Of a daemon that has died together with the keeper.
TEST_F(PodKeeper, HasTheStreamsOfStrayExecsBeforeTheShimIsAsked) {
  makeStreams("c.e");
  std::promise<std::set<std::string>> atKill;
  const ttrpc::test::ServerThread shim(
      folder / "shim", [&](const ttrpc::Request& request, ttrpc::Responder responder) {
        if (request.method == "Kill") atKill.set_value(openKeys());
        responder.answer({});
      });
  const auto tasks = TaskClient::connect({.address = "unix://" + (folder / "shim"), .version = 2},
                                         limitsFor(kTime), [] {});
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  const auto pod = Pod::make(record, listener);
  ASSERT_TRUE(pod.ok()) << pod.status();
  const absl::Status ended = endStrayExecs(**pod, **tasks, limitsFor(kTime));
  EXPECT_TRUE(ended.ok()) << ended;
  EXPECT_EQ(atKill.get_future().get(), std::set<std::string>{"c.e"});
  EXPECT_EQ(openKeys(), std::set<std::string>());
  EXPECT_FALSE(std::filesystem::exists((*pod)->fifo("c.e", "out")));
  (*tasks)->close();
}

// Its shim may wait at them.
TEST_F(PodKeeper, KeepsTheStreamsOfWhatTheShimHasNotForgotten) {
  std::atomic<bool> isSilent = true;
  std::vector<ttrpc::Responder> kept;
  const ttrpc::test::ServerThread shim(
      folder / "shim", [&](const ttrpc::Request& request, ttrpc::Responder responder) {
        api::StateResponse state;
        state.set_status(containerd::v1::types::CREATED);
        if (request.method == "State") return responder.answer({0, {}, state.SerializeAsString()});
        EXPECT_EQ(request.method, "Delete");
        if (isSilent) return kept.push_back(responder);
        responder.answer({});
      });
  const auto tasks = TaskClient::connect({.address = "unix://" + (folder / "shim"), .version = 2},
                                         limitsFor(kTime), [] {});
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  const auto pod = Pod::make(record, listener);
  ASSERT_TRUE(pod.ok()) << pod.status();
  makeStreams("c.e");
  auto connection = client.connect(limitsFor(kTime));
  ASSERT_TRUE(connection.ok()) << connection.status();
  const auto exec = (*pod)->addExec("c", "e", *std::move(connection));
  ASSERT_TRUE(exec.ok()) << exec.status();

  const auto end = [&](std::chrono::milliseconds time) {
    return endExec(**pod, **tasks, *exec, true, limitsFor(time), limitsFor(time));
  };
  const absl::Status cut = end(std::chrono::milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(cut)) << cut;
  EXPECT_NE((*pod)->findExec("c", "e"), nullptr);
  EXPECT_TRUE(std::filesystem::exists((*pod)->fifo("c.e", "out")));
  isSilent = false;
  const absl::Status ended = end(kTime);
  EXPECT_TRUE(ended.ok()) << ended;
  EXPECT_EQ((*pod)->findExec("c", "e"), nullptr);
  EXPECT_FALSE(std::filesystem::exists((*pod)->fifo("c.e", "out")));
  (*tasks)->close();
}

}  // namespace
}  // namespace berth::kata
