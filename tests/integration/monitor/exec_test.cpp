// Processes started in running containers.
#include <csignal>
#include <sys/socket.h>
#include <thread>

#include "berth/support/files.hpp"
#include "pod_fixture.hpp"

namespace berth::runc {
namespace {

using protocol::ExecStatus;
using testing::HasSubstr;
using testing::IsEmpty;

class Exec : public PodFixture {
 protected:
  void SetUp() override {
    PodFixture::SetUp();
    startPod();
    run("box", {"/bin/sleep", "9999"});
  }
};

TEST_F(Exec, StreamsAndExitCode) {
  Pipe in, out, err;
  const auto pid = client_->exec(execOptions("box", "e1", "cat; echo bad >&2; exit 5"),
                                 {in.read.get(), out.write.get(), err.write.get()}, soon());
  REQUIRE_OK(pid);
  in.read.reset();
  out.write.reset();
  err.write.reset();
  EXPECT_TRUE(processAlive(*pid));
  REQUIRE_OK(support::writeAll(in.write.get(), "through the process\n"));
  in.write.reset();
  EXPECT_EQ(readToEnd(out.read.get()), "through the process\n");
  EXPECT_EQ(readToEnd(err.read.get()), "bad\n");
  const auto exit = client_->waitExec("box", "e1", soon());
  REQUIRE_OK(exit);
  EXPECT_EQ(exit->exitCode, 5);
  EXPECT_EQ(exit->timedOut, 0);
  EXPECT_TRUE(absl::IsNotFound(client_->waitExec("box", "e1", soon()).status()))
      << "it is forgotten once its exit was told";
}

TEST_F(Exec, AProgramThatIsMissing) {
  ExecOptions options = execOptions("box", "e1", "");
  options.processJson =
      R"({"args":["/no/such/program"],"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"]})";
  const absl::Status status = client_->exec(options, {}, soon()).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/program"));
  EXPECT_TRUE(absl::IsNotFound(client_->waitExec("box", "e1", soon()).status()));
}

TEST_F(Exec, ManyThatEndAtOnceLoseNoExitCode) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([this, worker] {
      for (int i = 0; i < 15; ++i) {
        const std::string id = absl::StrCat("many-", worker, "-", i);
        EXPECT_OK(client_->exec(execOptions("box", id, absl::StrCat("exit ", i)), {}, soon()));
        const auto exit = client_->waitExec("box", id, soon());
        EXPECT_OK(exit);
        if (exit.ok()) {
          EXPECT_EQ(exit->exitCode, i);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto listing = client_->list(soon());
  REQUIRE_OK(listing);
  EXPECT_THAT(listing->execs, IsEmpty());
}

TEST_F(Exec, ATimeOutKillsTheWholeTree) {
  ExecOptions options = execOptions(
      "box", "slow", "setsid sleep 1001 & sleep 1002 & (sleep 1003 &) ; echo ready; sleep 1004");
  options.timeout = std::chrono::milliseconds(1500);
  Pipe out;
  REQUIRE_OK(client_->exec(options, {-1, out.write.get(), -1}, soon()));
  out.write.reset();
  // All holders of the pipe must die for it to end; this is also what a probe waits for.
  EXPECT_EQ(readToEnd(out.read.get()), "ready\n");
  const auto exit = client_->waitExec("box", "slow", soon());
  REQUIRE_OK(exit);
  EXPECT_EQ(exit->timedOut, 1);
  EXPECT_EQ(exit->exitCode, 128 + SIGKILL);
  EXPECT_THAT(execOutput("box", "ps"), testing::Not(HasSubstr("sleep 100")));
}

TEST_F(Exec, ItsTreeDiesWithTheClientThatWantsIt) {
  ExecOptions options = execOptions("box", "orphan", "sleep 1005 & echo ready; wait");
  options.onDisconnect = protocol::OnDisconnect::kKill;
  Pipe out;
  REQUIRE_OK(client_->exec(options, {-1, out.write.get(), -1}, soon()));
  out.write.reset();
  EXPECT_EQ(readUntil(out.read.get(), "ready\n"), "ready\n");
  reconnect();
  EXPECT_EQ(readToEnd(out.read.get()), "");
}

TEST_F(Exec, OneThatMayStayIsFoundAgainByANewClient) {
  Pipe in, out;
  REQUIRE_OK(client_->exec(execOptions("box", "stays", "echo ready; read go; exit 6"),
                           {in.read.get(), out.write.get(), -1}, soon()));
  in.read.reset();
  out.write.reset();
  EXPECT_EQ(readUntil(out.read.get(), "ready\n"), "ready\n");
  reconnect();
  const auto listing = client_->list(soon());
  REQUIRE_OK(listing);
  ASSERT_EQ(listing->execs.size(), 1u);
  EXPECT_EQ(listing->execs[0].execId, "stays");
  REQUIRE_OK(support::writeAll(in.write.get(), "go\n"));
  // Whether the exit comes before or after this request, who asks first is told.
  const auto exit = client_->waitExec("box", "stays", soon());
  if (exit.ok()) {
    EXPECT_EQ(exit->exitCode, 6);
  } else {
    EXPECT_TRUE(absl::IsNotFound(exit.status())) << exit.status();
  }
}

TEST_F(Exec, Signal) {
  Pipe out;
  REQUIRE_OK(client_->exec(
      execOptions("box", "e1",
                  "trap 'exit 12' USR1; echo ready; while :; do sleep 1000 & wait; done"),
      {-1, out.write.get(), -1}, soon()));
  out.write.reset();
  EXPECT_EQ(readUntil(out.read.get(), "ready\n"), "ready\n");
  EXPECT_OK(client_->killExec("box", "e1", SIGUSR1, KillScope::kProcess, soon()));
  const auto exit = client_->waitExec("box", "e1", soon());
  REQUIRE_OK(exit);
  EXPECT_EQ(exit->exitCode, 12);
  EXPECT_TRUE(
      absl::IsNotFound(client_->killExec("box", "e1", SIGUSR1, KillScope::kProcess, soon())));
}

TEST_F(Exec, TerminalWithSizeAndResize) {
  ExecOptions options = execOptions("box", "tty", "stty size; read x; stty size; exit 4", true);
  options.consoleWidth = 100;
  options.consoleHeight = 40;
  Pipe in, out;
  REQUIRE_OK(client_->exec(options, {in.read.get(), out.write.get(), -1}, soon()));
  in.read.reset();
  out.write.reset();
  EXPECT_THAT(readUntil(out.read.get(), "\r\n"), HasSubstr("40 100\r\n"));
  EXPECT_OK(client_->resize("box", "tty", 120, 50, soon()));
  REQUIRE_OK(support::writeAll(in.write.get(), "\n"));
  EXPECT_THAT(readToEnd(out.read.get()), HasSubstr("50 120\r\n"));
  const auto exit = client_->waitExec("box", "tty", soon());
  REQUIRE_OK(exit);
  EXPECT_EQ(exit->exitCode, 4);
}

TEST_F(Exec, ATerminalsLastOutputIsDelivered) {
  for (int i = 0; i < 5; ++i) {
    const std::string id = absl::StrCat("tty-", i);
    Pipe out;
    REQUIRE_OK(client_->exec(execOptions("box", id, "seq 1 20000", true), {-1, out.write.get(), -1},
                             soon()));
    out.write.reset();
    const std::string text = readToEnd(out.read.get());
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20000);
    EXPECT_OK(client_->waitExec("box", id, soon()));
  }
}

TEST_F(Exec, RefusedRequests) {
  EXPECT_TRUE(
      absl::IsNotFound(client_->exec(execOptions("none", "e", "true"), {}, soon()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->exec(execOptions("box", "../e", "true"), {}, soon()).status()));
  REQUIRE_OK(client_->exec(execOptions("box", "twice", "sleep 1000"), {}, soon()));
  EXPECT_TRUE(absl::IsAlreadyExists(
      client_->exec(execOptions("box", "twice", "true"), {}, soon()).status()));
  EXPECT_EQ(client_->resize("box", "twice", 1, 1, soon()).code(),
            absl::StatusCode::kFailedPrecondition);
  create("created", {"/bin/true"});
  EXPECT_EQ(client_->exec(execOptions("created", "e", "true"), {}, soon()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace berth::runc
