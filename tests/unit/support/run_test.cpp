#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/process.hpp"

namespace berth::support {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class RunTest : public ::testing::Test {
 protected:
  ~RunTest() override {
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD) << "a child is left";
  }
};

Command shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}};
}

TEST_F(RunTest, CapturesBothStreamsAndTheExitCode) {
  const auto output = run(shell("cat; echo error >&2; exit 5"), "input text");
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->standardOutput, "input text");
  EXPECT_EQ(output->standardError, "error\n");
  EXPECT_EQ(output->exitCode, 5);
  EXPECT_EQ(run(shell("kill -9 $$"))->exitCode, 128 + SIGKILL);
}

TEST_F(RunTest, MissingProgram) {
  EXPECT_EQ(run({.argv = {"no-such-program"}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(run({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RunTest, LargeInputAndOutput) {
  std::string input(12u << 20, '\0');
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<char>(i * 2654435761u >> 13);
  const auto output = run(shell("tee /dev/stderr"), input);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_TRUE(output->standardOutput == input);
  EXPECT_TRUE(output->standardError == input);
}

TEST_F(RunTest, UnreadInputDoesNoHarm) {
  const std::string input(1u << 20, 'x');
  EXPECT_EQ(run({.argv = {"true"}}, input)->exitCode, 0);
}

TEST_F(RunTest, StopsAtTheOutputLimit) {
  const auto exact = run(shell("head -c 1000 /dev/zero"), {}, {.outputBytes = 1000});
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ(exact->standardOutput.size(), 1000u);
  const auto endless = run({.argv = {"yes"}}, {}, {.outputBytes = 1u << 20});
  EXPECT_EQ(endless.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(endless.status().message()), HasSubstr("run yes: it wrote more than"));
  EXPECT_EQ(run(shell("yes >&2"), {}, {.outputBytes = 4096}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(RunTest, KillsAtTheDeadline) {
  const auto output = run(shell("trap '' TERM; echo waiting for Godot >&2; exec sleep 1000"), {},
                          {.deadline = Clock::now() + milliseconds(300)});
  EXPECT_EQ(output.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(output.status().message()),
              HasSubstr("its standard error ends: waiting for Godot"));
}

TEST_F(RunTest, DeadlineHoldsForEndlessWritersToo) {
  const auto output = run({.argv = {"yes"}}, {},
                          {.deadline = Clock::now() + milliseconds(50),
                           .outputBytes = std::numeric_limits<size_t>::max()});
  EXPECT_EQ(output.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(RunTest, NothingStartsAfterTheDeadline) {
  EXPECT_EQ(run({.argv = {"no-such-program"}}, {}, {.deadline = Clock::now()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(RunTest, CancelsBeforeTheStart) {
  const Fd cancel(::eventfd(1, EFD_CLOEXEC));
  EXPECT_EQ(run({.argv = {"no-such-program"}}, {}, {.cancelFd = cancel.get()}).status().code(),
            absl::StatusCode::kCancelled);
}

TEST_F(RunTest, CancelsWhileRunning) {
  const Fd cancel(::eventfd(0, EFD_CLOEXEC));
  std::array<int, 2> ends = {-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  std::thread canceller([&] {
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
    EXPECT_EQ(::eventfd_write(cancel.get(), 1), 0);
  });
  Command command = shell("printf x >&5; exec sleep 1000");
  command.descriptors = {{writer.get(), 5}};
  const auto output = run(command, {}, {.cancelFd = cancel.get()});
  canceller.join();
  EXPECT_EQ(output.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(RunTest, EndsWithTheChildThoughADescendantKeepsThePipes) {
  std::array<int, 2> ends = {-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  Command command = shell("sleep 1000 & echo $!");
  command.descriptors = {{writer.get(), 5}};
  const auto output = run(command);
  writer.reset();
  ASSERT_TRUE(output.ok()) << output.status();
  ::kill(std::stoi(output->standardOutput), SIGKILL);
  // The descendant was alive until now, and its end closes the last writer.
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
}

TEST_F(RunTest, WithASessionDescendantsAreKilledToo) {
  std::array<int, 2> ends = {-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  Command command = shell("sleep 1000 & wait");
  command.descriptors = {{writer.get(), 5}};
  command.newSession = true;
  const auto output = run(command, {}, {.deadline = Clock::now() + milliseconds(200)});
  writer.reset();
  EXPECT_EQ(output.status().code(), absl::StatusCode::kDeadlineExceeded);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
}

}  // namespace
}  // namespace berth::support
