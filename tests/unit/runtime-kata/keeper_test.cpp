// Streams, logs and sessions that a keeper holds.
#include <atomic>
#include <fstream>
#include <sys/ioctl.h>

#include <gmock/gmock.h>

#include "keeper_fixture.hpp"

namespace berth::kata {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

TEST_F(KeeperTest, WritesTheLogAndTellsWhenAllIsRead) {
  open();
  {
    const support::Fd out = shimEnd("out", O_WRONLY);
    const support::Fd err = shimEnd("err", O_WRONLY);
    ASSERT_EQ(::write(out.get(), "one\ntw", 6), 6);
    ASSERT_EQ(::write(err.get(), "bad\n", 4), 4);
    // While somebody may write, there is no end but that of the time.
    const auto early = call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 20});
    ASSERT_TRUE(early.ok()) << early.status();
    ASSERT_EQ(::write(out.get(), "o\n", 2), 2);
  }
  ASSERT_TRUE(call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 10'000}).ok());
  EXPECT_THAT(lines("c.log"), testing::UnorderedElementsAre("stdout F one", "stdout P tw",
                                                            "stderr F bad", "stdout F o"));
}

TEST_F(KeeperTest, OpensTheLogAnew) {
  open();
  const support::Fd out = shimEnd("out", O_WRONLY);
  ASSERT_EQ(::write(out.get(), "a\n", 2), 2);
  while (lines("c.log").empty()) std::this_thread::yield();
  ASSERT_EQ(std::rename((folder / "c.log").c_str(), (folder / "old").c_str()), 0);
  ASSERT_TRUE(call({.operation = Operation::kReopenLog, .key = "c"}).ok());
  ASSERT_EQ(::write(out.get(), "b\n", 2), 2);
  while (lines("c.log").empty()) std::this_thread::yield();
  EXPECT_THAT(lines("old"), ElementsAre("stdout F a"));
  EXPECT_THAT(lines("c.log"), ElementsAre("stdout F b"));
}

TEST_F(KeeperTest, PassesASessionsStreams) {
  open(keeper::Input::kWithFirstSession);
  const auto events = client.subscribe(limitsFor(kTime));
  ASSERT_TRUE(events.ok()) << events.status();
  int in[2], out[2];
  ASSERT_TRUE(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
  support::Fd toSession(in[1]), fromSession(out[0]);
  {
    const support::Fd theirIn(in[0]), theirOut(out[1]);
    ASSERT_TRUE(call({.operation = Operation::kAttach,
                      .key = "c",
                      .descriptors = keeper::kInput | keeper::kOutput},
                     {.input = theirIn.get(), .output = theirOut.get()})
                    .ok());
  }
  const support::Fd shimIn = shimEnd("in", O_RDONLY);
  support::Fd shimOut = shimEnd("out", O_WRONLY);
  ASSERT_EQ(::write(toSession.get(), "to", 2), 2);
  char buffer[16] = {};
  EXPECT_EQ(::read(shimIn.get(), buffer, sizeof buffer), 2);
  ASSERT_EQ(::write(shimOut.get(), "from", 4), 4);
  EXPECT_EQ(::read(fromSession.get(), buffer, sizeof buffer), 4);
  // The session's input ends: so does the process's, and that is told.
  toSession.reset();
  EXPECT_EQ(::read(shimIn.get(), buffer, sizeof buffer), 0);
  const auto event = nextEvent(*events);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->event, keeper::EventKind::kInputEnded);
  EXPECT_EQ(event->key, "c");
  EXPECT_EQ(call({.operation = Operation::kList})->entries.at(0).inputEnded, 1u);
  // The process's end is the session's.
  shimOut.reset();
  ASSERT_TRUE(call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 100}).ok());
  EXPECT_EQ(::read(fromSession.get(), buffer, sizeof buffer), 0);
}

// Bytes that come until the end, which is awaited for some time only.
size_t readAll(const support::Fd& fd) {
  char buffer[4096];
  size_t bytes = 0;
  while (waitFor(fd.get(), POLLIN, limitsFor(kTime), "output").ok()) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count <= 0) break;
    bytes += static_cast<size_t>(count);
  }
  return bytes;
}

TEST_F(KeeperTest, ASlowSessionHasAllOfAProcessThatIsForgotten) {
  constexpr size_t kMuch = 300'000;  // more than pipes and backlogs hold
  open();
  const support::Fd fromSession = attachOutput();
  shimEnd("err", O_WRONLY);
  std::thread shim([&] {
    const support::Fd end = shimEnd("out", O_WRONLY);
    EXPECT_EQ(::write(end.get(), std::string(kMuch, 'x').data(), kMuch), kMuch);
  });
  // Nobody reads yet, and nothing waits for that.
  EXPECT_TRUE(call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 9'000}).ok());
  shim.join();
  EXPECT_TRUE(call({.operation = Operation::kForget, .key = "c"}).ok());
  EXPECT_TRUE(call({.operation = Operation::kList})->entries.empty());
  // The key is free, and the keeper ends only when all has been read.
  open();
  EXPECT_TRUE(call({.operation = Operation::kShutDown}).ok());
  EXPECT_EQ(readAll(fromSession), kMuch);
  thread.join();
  served->close();
  start();
}

TEST_F(KeeperTest, WhatOneSessionsProcessWroteIsThereWhenItsEndIsTold) {
  constexpr size_t kMuch = 300'000;
  open(keeper::Input::kStays, 1);
  const support::Fd fromSession = attachOutput();
  shimEnd("err", O_WRONLY);
  std::atomic<size_t> bytes = 0;
  std::thread reader([&] {
    char buffer[65'536];
    for (ssize_t count = 1; count > 0; bytes += static_cast<size_t>(count)) {
      std::this_thread::sleep_for(20ms);
      count = std::max<ssize_t>(::read(fromSession.get(), buffer, sizeof buffer), 0);
    }
  });
  {
    const support::Fd end = shimEnd("out", O_WRONLY);
    EXPECT_EQ(::write(end.get(), std::string(kMuch, 'x').data(), kMuch), kMuch);
  }
  // That time is for those who hold the output open, not for its reader.
  EXPECT_TRUE(call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 10}).ok());
  int present = 0;
  EXPECT_EQ(::ioctl(fromSession.get(), FIONREAD, &present), 0);
  // One read may be between the pipe and the counter.
  EXPECT_GE(bytes + static_cast<size_t>(present) + 65'536, kMuch);
  reader.join();
  EXPECT_EQ(bytes, kMuch);
}

TEST_F(KeeperTest, ASessionThatNobodyReadsDoesNotKeepTheKeeper) {
  open();
  const support::Fd unread = attachOutput();
  const support::Fd end = shimEnd("out", O_WRONLY);
  ASSERT_EQ(::write(end.get(), std::string(65'536, 'x').data(), 65'536), 65'536);
  ASSERT_EQ(::write(end.get(), "more", 4), 4);
  EXPECT_TRUE(call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 1}).ok());
  EXPECT_TRUE(call({.operation = Operation::kForget, .key = "c"}).ok());
  const auto began = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
  start();
}

TEST_F(KeeperTest, TakesTheShimsEvents) {
  open();
  const auto events = client.subscribe(limitsFor(kTime));
  const auto shim = ttrpc::Client::connect(folder / "e", limitsFor(kTime));
  ASSERT_TRUE(events.ok() && shim.ok());
  tell("/tasks/oom", "c");
  tell("/tasks/oom", "unknown");
  EXPECT_EQ(nextEvent(*events)->event, keeper::EventKind::kOomKilled);
  EXPECT_TRUE(
      absl::IsInvalidArgument((*shim)->call(kForward, "\x0a\x7f", limitsFor(kTime)).status()));
  EXPECT_TRUE(absl::IsUnimplemented((*shim)->call({"x", "y"}, "", limitsFor(kTime)).status()));
  // Who waits for the exit's event has it with the rest.
  shimEnd("out", O_WRONLY);
  shimEnd("err", O_WRONLY);
  std::thread exit([&] { tell("/tasks/exit", "c"); });
  const auto finished =
      call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 10'000, .awaitExit = 1});
  exit.join();
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->entries.at(0).oomKilled, 1u);
}

TEST_F(KeeperTest, KeepsTheShimsLog) {
  const support::Fd log = shimEnd("log", O_WRONLY | O_NONBLOCK);
  ASSERT_TRUE(log) << "a reader is there at once";
  ASSERT_EQ(::write(log.get(), "said\n", 5), 5);
  std::string text;
  while (text.empty()) {
    std::ifstream file(folder / "shim.log");
    std::getline(file, text);
  }
  EXPECT_EQ(text, "said");
}

TEST_F(KeeperTest, RefusesWhatItDoesNotHave) {
  EXPECT_TRUE(absl::IsNotFound(call({.operation = Operation::kAttach, .key = "x"}).status()));
  EXPECT_TRUE(absl::IsNotFound(call({.operation = Operation::kFinish, .key = "x"}).status()));
  EXPECT_TRUE(absl::IsNotFound(call({.operation = Operation::kWatchMemory, .key = "x"}).status()));
  EXPECT_TRUE(call({.operation = Operation::kForget, .key = "x"}).ok());
  EXPECT_TRUE(absl::IsUnimplemented(call({.operation = static_cast<Operation>(99)}).status()));
  EXPECT_TRUE(absl::IsNotFound(
      call({.operation = Operation::kOpen, .key = "x", .output = folder / "none"}).status()));
  // No FIFO: reading it would never end.
  EXPECT_TRUE(absl::IsInvalidArgument(
      call({.operation = Operation::kOpen, .key = "x", .output = folder / "shim.log"}).status()));
  open();
  EXPECT_TRUE(absl::IsInvalidArgument(
      call({.operation = Operation::kAttach, .key = "c", .descriptors = keeper::kInput}).status()));
  keeper::Keeper second;
  EXPECT_EQ(second.open({.directory = folder / ""}).code, streams::Code::kAlreadyExists);
}

}  // namespace
}  // namespace berth::kata
