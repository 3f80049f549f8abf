// Start, exit, kill, delete.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <thread>

#include "berth/support/files.hpp"
#include "pod_fixture.hpp"

namespace berth::runc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LifeCycle : public PodFixture {};

TEST_F(LifeCycle, ExitCodeLogAndRecord) {
  startPod();
  shell("one", "echo out; echo err >&2; exit 7");
  const MonitorEvent exit = awaitExit("one");
  EXPECT_EQ(exit.podId, "pod");
  EXPECT_EQ(exit.status.exitCode, 7);
  EXPECT_EQ(exit.status.oomKills, 0u);
  EXPECT_GT(exit.status.startedAt, 0);
  EXPECT_GT(exit.status.finishedAt, 0);
  EXPECT_THAT(logLines(log("one"), "stdout"), ElementsAre("out"));
  EXPECT_THAT(logLines(log("one"), "stderr"), ElementsAre("err"));

  const auto record = readExitRecord(runDir(), "one");
  REQUIRE_OK(record);
  EXPECT_EQ(record->exitCode, 7);
  EXPECT_EQ(record->finishedAt, exit.status.finishedAt);
  EXPECT_EQ(statusOf("one").state, ContainerState::kExited);
  EXPECT_EQ(events_->count(MonitorEvent::Kind::kContainerExited, "one"), 1u);

  EXPECT_OK(client_->deleteContainer("one", soon()));
  EXPECT_OK(client_->deleteContainer("one", soon()));
  EXPECT_TRUE(absl::IsNotFound(readExitRecord(runDir(), "one").status()));
}

TEST_F(LifeCycle, AProcessThatEndsBeforeTheRuntimeHasBegunBeforeItsEnd) {
  const std::string slow = directory_ + "/slow-runtime";
  std::ofstream(slow) << "#!/bin/sh\n"
                      << runtime_
                      << " \"$@\"; result=$?\n"
                         "case \" $* \" in *\" run \"*) sleep 0.3 ;; esac\n"
                         "exit $result\n";
  ASSERT_EQ(::chmod(slow.c_str(), 0755), 0);
  protocol::StartRequest request = podRequest();
  request.runtimePath = slow;
  startPod(request);
  shell("one", "exit 7");
  const MonitorEvent exit = awaitExit("one");
  EXPECT_EQ(exit.status.exitCode, 7);
  EXPECT_GT(exit.status.startedAt, 0);
  EXPECT_LE(exit.status.startedAt, exit.status.finishedAt);
}

TEST_F(LifeCycle, TheMonitorBelongsToInit) {
  startPod();
  const auto stat = support::readFile(absl::StrCat("/proc/", facts_.monitorPid, "/stat"));
  REQUIRE_OK(stat);
  // pid (comm) state ppid pgrp session
  const std::string rest = stat->substr(stat->rfind(')') + 2);
  int ppid = -1, group = -1, session = -1;
  ASSERT_EQ(sscanf(rest.c_str(), "%*c %d %d %d", &ppid, &group, &session), 3);
  EXPECT_NE(ppid, getpid());
  EXPECT_NE(group, getpgrp());
  EXPECT_NE(session, getsid(0));
  EXPECT_EQ(std::filesystem::read_symlink(absl::StrCat("/proc/", facts_.monitorPid, "/cwd")), "/");
}

TEST_F(LifeCycle, CreateThenStart) {
  startPod();
  ContainerOptions options;
  options.startMode = protocol::StartMode::kCreateThenStart;
  shell("two", "echo two steps; exit 3", options);
  EXPECT_EQ(awaitExit("two").status.exitCode, 3);
  EXPECT_THAT(logLines(log("two"), "stdout"), ElementsAre("two steps"));
}

TEST_F(LifeCycle, CreateIsIdempotentUntilItStarts) {
  startPod();
  create("same", {"/bin/true"});
  create("same", {"/bin/true"});
  protocol::CreateContainerRequest other;
  other.containerId = "same";
  other.bundle = "/elsewhere";
  EXPECT_EQ(client_->createContainer(other, soon()).code(), absl::StatusCode::kAlreadyExists);
  other.containerId = "../escape";
  EXPECT_EQ(client_->createContainer(other, soon()).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LifeCycle, StartAgainReturnsTheSamePid) {
  startPod();
  run("again", {"/bin/sleep", "1000"});
  const auto reply = client_->startContainer("again", soon());
  REQUIRE_OK(reply);
  EXPECT_EQ(reply->pid, statusOf("again").pid);
  EXPECT_EQ(client_->deleteContainer("again", soon()).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(LifeCycle, AFailedStartTellsTheRuntimesWordsAndLeavesNothing) {
  startPod();
  for (const auto mode : {protocol::StartMode::kRun, protocol::StartMode::kCreateThenStart}) {
    ContainerOptions options;
    options.startMode = mode;
    create("missing", {"/no/such/program"}, options);
    const absl::Status status = client_->startContainer("missing", soon()).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/program"));
    EXPECT_EQ(statusOf("missing").state, ContainerState::kStartFailed);
    EXPECT_THAT(statusOf("missing").error, HasSubstr("/no/such/program"));
    EXPECT_FALSE(support::pathExists(runtimeRoot() + "/missing"));
    EXPECT_EQ(client_->startContainer("missing", soon()).status().code(),
              absl::StatusCode::kFailedPrecondition);
    EXPECT_OK(client_->deleteContainer("missing", soon()));
  }
}

TEST_F(LifeCycle, ARefusedArgumentIsToldToo) {
  startPod();
  ContainerOptions options;
  options.createArgs = {"--no-such-flag"};
  create("flag", {"/bin/true"}, options);
  const absl::Status status = client_->startContainer("flag", soon()).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-flag"));
}

TEST_F(LifeCycle, Kill) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOpen;
  shell("term", "trap 'exit 9' TERM; read go; echo ready; while :; do sleep 1000 & wait; done",
        options);
  Pipe in;
  Pipe out;
  REQUIRE_OK(client_->attach("term", {in.read.get(), out.write.get(), -1}, soon()));
  out.write.reset();
  REQUIRE_OK(support::writeAll(in.write.get(), "go\n"));
  EXPECT_EQ(readUntil(out.read.get(), "ready\n"), "ready\n");
  EXPECT_OK(client_->killContainer("term", SIGTERM, KillScope::kProcess, soon()));
  EXPECT_EQ(awaitExit("term").status.exitCode, 9);
  EXPECT_OK(client_->killContainer("term", SIGTERM, KillScope::kProcess, soon()));

  run("hard", {"/bin/sleep", "1000"});
  EXPECT_OK(client_->killContainer("hard", SIGKILL, KillScope::kAll, soon()));
  EXPECT_EQ(awaitExit("hard").status.exitCode, 128 + SIGKILL);
  EXPECT_TRUE(
      absl::IsNotFound(client_->killContainer("unknown", SIGTERM, KillScope::kProcess, soon())));
}

TEST_F(LifeCycle, DeleteKillsWhatTheContainerLeft) {
  startPod();
  ContainerOptions options;
  options.hostPid = true;
  shell("daemon", "setsid sleep 1000 & echo $!; exit 0", options);
  EXPECT_EQ(awaitExit("daemon").status.exitCode, 0);
  const auto procs = support::readFile(cgroupDir("daemon") + "/cgroup.procs");
  REQUIRE_OK(procs);
  ASSERT_FALSE(procs->empty()) << "the test needs a process that outlives its container";
  EXPECT_OK(client_->deleteContainer("daemon", soon()));
  EXPECT_FALSE(support::pathExists(cgroupDir("daemon")));
}

TEST_F(LifeCycle, AHangingStartCanBeAborted) {
  const std::string script = directory_ + "/runtime";
  const std::string atWork = directory_ + "/runtime-at-work";
  ASSERT_EQ(mkfifo(atWork.c_str(), 0600), 0);
  REQUIRE_OK(support::replaceFile(
      script, absl::StrCat("#!/bin/sh\nsleep 1000 &\necho $! > ", atWork, "\nwait\n"), 0755,
      support::Durability::kVisible));
  protocol::StartRequest request = podRequest();
  request.runtimePath = script;
  startPod(request);
  create("hung", {"/bin/true"});
  absl::Status started;
  std::thread starter([&] { started = client_->startContainer("hung", soon()).status(); });
  const auto sleeper = support::readFile(atWork);  // blocks until the script has written
  REQUIRE_OK(sleeper);
  const ProcessEnd sleeperEnd(atoi(sleeper->c_str()));
  EXPECT_EQ(client_->killContainer("hung", SIGTERM, KillScope::kProcess, soon()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_OK(client_->killContainer("hung", SIGKILL, KillScope::kAll, soon()));
  starter.join();
  EXPECT_EQ(started.code(), absl::StatusCode::kCancelled) << started;
  EXPECT_EQ(statusOf("hung").state, ContainerState::kStartFailed);
  EXPECT_TRUE(sleeperEnd.await()) << "the runtime's own child lives on";
}

// A runtime whose first `delete` never answers. It tells of that in the FIFO, by the pid of a
// child.
std::string hangingInDelete(const std::string& directory, const std::string& fifo,
                            std::string_view rest) {
  std::string script = directory + "/runtime";
  std::ofstream(script) << "#!/bin/sh\ncase \" $* \" in *\" delete \"*)\n  if mkdir " << directory
                        << "/hung 2>/dev/null; then sleep 1000 & echo $! > " << fifo
                        << "; wait; fi;;\nesac\n"
                        << rest;
  EXPECT_EQ(::chmod(script.c_str(), 0755), 0);
  EXPECT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  return script;
}

TEST_F(LifeCycle, ADeletionThatHangsEndsWithItsCaller) {
  const std::string atWork = directory_ + "/runtime-at-work";
  protocol::StartRequest request = podRequest();
  request.runtimePath =
      hangingInDelete(directory_, atWork, absl::StrCat("exec ", runtime_, " \"$@\"\n"));
  startPod(request);
  run("box", {"/bin/true"});
  awaitExit("box");
  const support::Fd giveUp(::eventfd(0, EFD_CLOEXEC));
  absl::Status deleted;
  std::thread deleter([&] {
    deleted = client_->deleteContainer("box", {soon().deadline, giveUp.get()});
  });
  const auto sleeper = support::readFile(atWork);  // blocks until the script has written
  const ProcessEnd sleeperEnd(atoi(sleeper.value_or("0").c_str()));
  ::eventfd_write(giveUp.get(), 1);
  deleter.join();
  EXPECT_EQ(deleted.code(), absl::StatusCode::kCancelled) << deleted;
  EXPECT_TRUE(sleeperEnd.await()) << "the runtime's own child lives on";
  EXPECT_EQ(statusOf("box").state, ContainerState::kExited);
  EXPECT_OK(client_->deleteContainer("box", soon()));
  EXPECT_FALSE(support::pathExists(runtimeRoot() + "/box"));
}

TEST_F(LifeCycle, AFailedStartWhoseDeletionHangsCanBeGivenUp) {
  const std::string atWork = directory_ + "/runtime-at-work";
  const std::string state = runtimeRoot() + "/box";
  protocol::StartRequest request = podRequest();
  request.runtimePath =
      hangingInDelete(directory_, atWork,
                      absl::StrCat("case \" $* \" in *\" delete \"*) rmdir ", state,
                                   ";;\n  *) mkdir -p ", state, "; exit 1;;\nesac\n"));
  startPod(request);
  create("box", {"/bin/true"});
  absl::Status started;
  std::thread starter([&] { started = client_->startContainer("box", soon()).status(); });
  const auto sleeper = support::readFile(atWork);  // blocks until the script has written
  const ProcessEnd sleeperEnd(atoi(sleeper.value_or("0").c_str()));
  EXPECT_OK(client_->cancelDelete("box"));
  starter.join();
  EXPECT_THAT(std::string(started.message()), HasSubstr("it was given up"));
  EXPECT_TRUE(sleeperEnd.await()) << "the runtime's own child lives on";
  EXPECT_EQ(statusOf("box").state, ContainerState::kStartFailed);
  EXPECT_OK(client_->deleteContainer("box", soon()));
  EXPECT_FALSE(support::pathExists(state));
}

TEST_F(LifeCycle, OomKillsAreNoticed) {
  startPod();
  ContainerOptions options;
  options.memoryLimit = 32 << 20;
  run("greedy", {"/bin/sh", "-c", "exec tail -c 200m /dev/zero"}, options);
  const ContainerStatus status = awaitExit("greedy").status;
  EXPECT_EQ(status.exitCode, 128 + SIGKILL);
  EXPECT_GE(status.oomKills, 1u);
  const auto record = readExitRecord(runDir(), "greedy");
  REQUIRE_OK(record);
  EXPECT_GE(record->oomKills, 1u);
}

TEST_F(LifeCycle, AnOomKilledChildIsToldWhileTheContainerRuns) {
  startPod();
  ContainerOptions options;
  options.memoryLimit = 32 << 20;
  shell("parent", "tail -c 200m /dev/zero; sleep 1000", options);
  EXPECT_GE(events_->await(MonitorEvent::Kind::kOomKilled, "parent").status.oomKills, 1u);
  EXPECT_EQ(statusOf("parent").state, ContainerState::kRunning);
}

TEST_F(LifeCycle, ManyContainersAtOnce) {
  startPod();
  constexpr int kCount = 100;
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::atomic<int> next = 0;
  for (int i = 0; i < kCount; ++i) {
    const std::string id = absl::StrCat("many-", i);
    create(id, {"/bin/sh", "-c", absl::StrCat("echo number ", i, "; exit ", i)});
  }
  for (int worker = 0; worker < 8; ++worker) {
    threads.emplace_back([&] {
      for (int i = next++; i < kCount; i = next++) {
        EXPECT_OK(client_->startContainer(absl::StrCat("many-", i), soon()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kCount; ++i) {
    const std::string id = absl::StrCat("many-", i);
    EXPECT_EQ(awaitExit(id).status.exitCode, i);
    EXPECT_EQ(events_->count(MonitorEvent::Kind::kContainerExited, id), 1u);
    EXPECT_THAT(logLines(log(id), "stdout"), ElementsAre(absl::StrCat("number ", i)));
  }
}

}  // namespace
}  // namespace berth::runc
