#include "berth/support/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <future>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/open_files.hpp"
#include "temporary_directory.hpp"

// As a host that has raised its own has it.
uint64_t berth_child_open_files = 0;

namespace berth::support {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

bool hasChildren() {
  siginfo_t info = {};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

class ProcessTest : public ::testing::Test {
 protected:
  ~ProcessTest() override { EXPECT_FALSE(hasChildren()); }

  // Runs with standard output in a file, so that these tests do not lean on run().
  std::string outputOf(Command command) {
    const std::string path = directory_ / "output";
    const auto file = openFile(path, O_RDWR | O_CREAT | O_TRUNC);
    command.standardOutput = file->get();
    auto process = spawn(command);
    EXPECT_TRUE(process.ok()) << process.status();
    if (!process.ok()) return {};
    const auto code = process->wait();
    EXPECT_TRUE(code.ok() && *code == 0) << *code;
    return *readFile(path);
  }

  Fd fileWith(const std::string& content) {
    EXPECT_TRUE(replaceFile(directory_ / content, content, 0600, Durability::kVisible).ok());
    return *openFile(directory_ / content, O_RDONLY);
  }

  berth::testing::TemporaryDirectory directory_;
};

TEST_F(ProcessTest, ExitCodesAndSignals) {
  EXPECT_EQ(*spawn({.argv = {"true"}})->wait(), 0);
  EXPECT_EQ(*spawn({.argv = {"/bin/sh", "-c", "exit 37"}})->wait(), 37);
  EXPECT_EQ(*spawn({.argv = {"/bin/sh", "-c", "kill -TERM $$"}})->wait(), 128 + SIGTERM);
  auto process = spawn({.argv = {"sleep", "1000"}});
  ASSERT_TRUE(process.ok());
  EXPECT_GT(process->pid(), 1);
  EXPECT_TRUE(process->signal(SIGKILL).ok());
  EXPECT_EQ(*process->wait(), 128 + SIGKILL);
  EXPECT_EQ(process->signal(SIGTERM).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(process->wait().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ProcessTest, FailedExecutionIsExact) {
  const auto missing = spawn({.argv = {"/no/such/program"}});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/no/such/program"));
  EXPECT_EQ(spawn({.argv = {"no-such-program-anywhere"}}).status().code(),
            absl::StatusCode::kNotFound);

  const std::string plain = directory_ / "plain";
  ASSERT_TRUE(replaceFile(plain, "text\n", 0644, Durability::kVisible).ok());
  EXPECT_EQ(spawn({.argv = {plain}}).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(spawn({.argv = {directory_.path()}}).status().code(),
            absl::StatusCode::kPermissionDenied);

  ASSERT_EQ(::chmod(plain.c_str(), 0755), 0);
  EXPECT_EQ(spawn({.argv = {plain}}).status().code(), absl::StatusCode::kFailedPrecondition);

  const std::string orphan = directory_ / "orphan";
  ASSERT_TRUE(replaceFile(orphan, "#!/no/such/shell\n", 0755, Durability::kVisible).ok());
  const auto script = spawn({.argv = {orphan}});
  EXPECT_EQ(script.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(script.status().message()), HasSubstr("interpreter"));
}

TEST_F(ProcessTest, MalformedCommands) {
  EXPECT_EQ(spawn({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(spawn({.argv = {""}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(spawn({.argv = {"true"}, .descriptors = {{0, 2}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(spawn({.argv = {"true"}, .descriptors = {{0, 5}, {1, 5}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(spawn({.argv = {"true"}, .descriptors = {{-1, 5}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ProcessTest, FailuresBeforeExecutionNameTheirCause) {
  const auto folder = spawn({.argv = {"true"}, .directory = "/no/such/folder"});
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(folder.status().message()),
              HasSubstr("change to directory /no/such/folder"));
  const auto closed = spawn({.argv = {"true"}, .descriptors = {{987, 5}}});
  EXPECT_THAT(std::string(closed.status().message()), HasSubstr("descriptor 987"));
  const Fd null = *openFile("/dev/null", O_RDONLY);
  const auto space = spawn({.argv = {"true"}, .namespaces = {null.get()}});
  EXPECT_THAT(std::string(space.status().message()), HasSubstr("join the namespace"));
}

TEST_F(ProcessTest, EnvironmentDirectoryAndArguments) {
  EXPECT_EQ(outputOf({.argv = {"env"}, .environment = {{"A=1", "B=two words"}}}),
            "A=1\nB=two words\n");
  EXPECT_EQ(outputOf({.argv = {"env"}, .environment = std::vector<std::string>{}}), "");
  ASSERT_EQ(::setenv("BERTH_TEST_INHERITED", "yes", 1), 0);
  EXPECT_THAT(outputOf({.argv = {"env"}}), HasSubstr("BERTH_TEST_INHERITED=yes\n"));
  ::unsetenv("BERTH_TEST_INHERITED");
  EXPECT_EQ(outputOf({.argv = {"/bin/pwd"}, .directory = "/proc"}), "/proc\n");
  EXPECT_EQ(outputOf({.argv = {"/bin/sh", "-c", "printf '%s|' \"$@\"", "name", "", "a b"}}),
            "|a b|");
}

TEST_F(ProcessTest, SignalsAreDefaultAndUnblocked) {
  ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  sigset_t blocked;
  sigset_t old;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &old);
  const std::string status = outputOf({.argv = {"cat", "/proc/self/status"}});
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &old, &after);
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_THAT(status, AllOf(HasSubstr("SigBlk:\t0000000000000000"),
                            HasSubstr("SigIgn:\t0000000000000000")));
  EXPECT_EQ(::sigismember(&after, SIGUSR1), 1);
  EXPECT_EQ(::sigismember(&after, SIGINT), 0);
}

TEST_F(ProcessTest, NothingElseIsInherited) {
  // Without O_CLOEXEC, as some library may open it.
  const Fd leaky(::open("/dev/zero", O_RDONLY));
  const Fd high(::fcntl(leaky.get(), F_DUPFD, 200));
  ASSERT_TRUE(high);
  const std::string listing = outputOf({.argv = {"ls", "-l", "/proc/self/fd"}});
  EXPECT_EQ(listing.find("/dev/zero"), std::string::npos) << listing;
  EXPECT_THAT(listing, AllOf(HasSubstr(" 0 -> /dev/null"), HasSubstr(" 2 -> /dev/null")));
}

TEST_F(ProcessTest, DescriptorsMayTradePlaces) {
  const Fd a = fileWith("content-a");
  const Fd b = fileWith("content-b");
  const Fd c = fileWith("content-c");
  const int x = a.get();
  const int y = b.get();
  const int z = c.get();
  const auto show = [](int fd) { return "cat /proc/self/fd/" + std::to_string(fd) + "; echo; "; };
  const std::string script = show(x) + show(y) + show(z) + show(99);
  EXPECT_EQ(outputOf({.argv = {"/bin/sh", "-c", script},
                      .descriptors = {{x, y}, {y, z}, {z, x}, {x, 99}}}),
            "content-c\ncontent-a\ncontent-b\ncontent-a\n");
  EXPECT_EQ(outputOf({.argv = {"/bin/sh", "-c", script},
                      .descriptors = {{x, x}, {y, y}, {z, z}, {z, 99}}}),
            "content-a\ncontent-b\ncontent-c\ncontent-c\n");
}

TEST_F(ProcessTest, StandardStreamsMayTradePlaces) {
  // Our own 1 as the child's 2 and the reverse, with 0 passed on to a further descriptor.
  const std::string out = directory_ / "out";
  const std::string err = directory_ / "err";
  const Fd outFile = *openFile(out, O_RDWR | O_CREAT);
  const Fd errFile = *openFile(err, O_RDWR | O_CREAT);
  const Fd keptOut(::fcntl(1, F_DUPFD_CLOEXEC, 10));
  const Fd keptErr(::fcntl(2, F_DUPFD_CLOEXEC, 10));
  ::dup2(outFile.get(), 1);
  ::dup2(errFile.get(), 2);
  auto process = spawn({.argv = {"/bin/sh", "-c", "echo o; echo e >&2; echo five >&5"},
                        .standardOutput = 2,
                        .standardError = 1,
                        .descriptors = {{2, 5}}});
  ::dup2(keptOut.get(), 1);
  ::dup2(keptErr.get(), 2);
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(*process->wait(), 0);
  EXPECT_EQ(*readFile(err), "o\nfive\n");
  EXPECT_EQ(*readFile(out), "e\n");
}

TEST_F(ProcessTest, NewSession) {
  auto process = spawn({.argv = {"sleep", "1000"}, .newSession = true});
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(::getsid(process->pid()), process->pid());
  EXPECT_NE(::getsid(0), process->pid());
}

TEST_F(ProcessTest, OneMayEndWithTheThreadThatHasSpawnedIt) {
  for (const bool endsWithThread : {true, false}) {
    absl::StatusOr<Process> process;
    std::thread([&] {
      process = spawn({.argv = {"sleep", "1"}, .endsWithThread = endsWithThread});
    }).join();
    ASSERT_TRUE(process.ok()) << process.status();
    EXPECT_EQ(*process->wait(), endsWithThread ? 128 + SIGKILL : 0);
  }
}

TEST_F(ProcessTest, DestructionAndAssignmentKillAndReap) {
  pid_t first = -1;
  {
    auto process = spawn({.argv = {"sleep", "1000"}});
    ASSERT_TRUE(process.ok());
    first = process->pid();
    Process moved = *std::move(process);
    EXPECT_EQ(moved.pid(), first);
    auto second = spawn({.argv = {"sleep", "1000"}});
    ASSERT_TRUE(second.ok());
    moved = *std::move(second);
    EXPECT_EQ(::kill(first, 0), -1);
  }
  EXPECT_FALSE(hasChildren());
}

TEST_F(ProcessTest, ReleaseGivesTheChildUp) {
  pid_t pid = -1;
  {
    auto process = spawn({.argv = {"sleep", "1000"}});
    ASSERT_TRUE(process.ok());
    pid = process->release();
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, WNOHANG), 0);
  ::kill(pid, SIGKILL);
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
}

TEST_F(ProcessTest, ChildrenGetTheLimitOfOpenFilesFromBefore) {
  const Command command{.argv = {"/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"}};
  const std::string inherited = outputOf(command);
  berth_child_open_files = 77;
  const std::string lowered = outputOf(command);
  berth_child_open_files = 0;
  EXPECT_NE(inherited.substr(0, 3), "77\n");
  EXPECT_EQ(lowered, "77\n" + inherited.substr(inherited.find('\n') + 1));
}

// A killed child that is traced stays unreaped as long as its tracer likes. `next` takes it along,
// as soon as it can be had.
void testUnreaped(const std::function<void()>& next) {
  auto process = spawn({.argv = {"sleep", "1000"}});
  ASSERT_TRUE(process.ok()) << process.status();
  const pid_t pid = process->pid();
  std::array<int, 2> ends = {-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t tracer = ::fork();
  ASSERT_GE(tracer, 0);
  if (tracer == 0) {
    const char seized = ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0 ? 'y' : 'n';
    (void)!::write(ends[1], &seized, 1);
    for (;;) ::pause();
  }
  char seized = 0;
  EXPECT_EQ(::read(reader.get(), &seized, 1), 1);
  const auto endTracer = [&] {
    ::kill(tracer, SIGKILL);
    return ::waitpid(tracer, nullptr, 0);
  };
  if (seized != 'y') {
    endTracer();
    GTEST_SKIP() << "may not trace another process";
  }
  auto gone = std::async(std::launch::async, [&] { *process = Process(); });
  EXPECT_EQ(gone.wait_for(std::chrono::seconds(5)), std::future_status::ready);
  EXPECT_EQ(endTracer(), tracer);
  gone.get();
  siginfo_t info = {};
  (void)::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  next();
  EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT), -1);
}

TEST_F(ProcessTest, OneThatDoesNotEndIsNotWaitedForForEver) {
  testUnreaped([] { EXPECT_EQ(*spawn({.argv = {"true"}})->wait(), 0); });
}

// Those who make processes without spawn() never start one.
TEST_F(ProcessTest, KillingAnotherReapsItToo) {
  auto other = spawn({.argv = {"sleep", "1000"}});
  ASSERT_TRUE(other.ok()) << other.status();
  testUnreaped([&] { *other = Process(); });
}

TEST_F(ProcessTest, JoinsNamespaces) {
  auto holder = spawn({.argv = {"unshare", "--uts", "sleep", "1000"}});
  if (!holder.ok()) GTEST_SKIP() << holder.status();
  // The holder is in its namespace once it runs sleep; until then, or without the right to, the
  // two names are the same.
  const std::string process = "/proc/" + std::to_string(holder->pid());
  siginfo_t info = {};
  while (readFile(process + "/comm").value_or("") != "sleep\n") {
    if (::waitid(P_PID, static_cast<id_t>(holder->pid()), &info, WEXITED | WNOHANG | WNOWAIT) ==
            0 &&
        info.si_pid != 0)
      GTEST_SKIP() << "needs the right to make namespaces";
    ::sched_yield();
  }
  const Fd space = *openFile(process + "/ns/uts", O_RDONLY);
  std::array<char, 64> expected = {};
  ASSERT_GT(::readlink((process + "/ns/uts").c_str(), expected.data(), expected.size() - 1), 0);
  EXPECT_EQ(outputOf({.argv = {"readlink", "/proc/self/ns/uts"}, .namespaces = {space.get()}}),
            std::string(expected.data()) + "\n");
  EXPECT_NE(outputOf({.argv = {"readlink", "/proc/self/ns/uts"}}),
            std::string(expected.data()) + "\n");
}

TEST_F(ProcessTest, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 20; ++i) {
        std::array<int, 2> ends = {-1, -1};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        const Fd reader(ends[0]);
        Fd writer(ends[1]);
        auto process = spawn({.argv = {"/bin/sh", "-c", "echo hi; exit " + std::to_string(t)},
                              .standardOutput = writer.get()});
        ASSERT_TRUE(process.ok()) << process.status();
        writer.reset();
        // The end of file comes only if no other child got hold of the pipe.
        std::array<char, 16> buffer;
        EXPECT_EQ(::read(reader.get(), buffer.data(), buffer.size()), 3);
        EXPECT_EQ(::read(reader.get(), buffer.data(), buffer.size()), 0);
        EXPECT_EQ(*process->wait(), t);
        EXPECT_EQ(spawn({.argv = {"/no/such/program"}}).status().code(),
                  absl::StatusCode::kNotFound);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace berth::support
