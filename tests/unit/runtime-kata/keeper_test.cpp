// A keeper on a thread of its own, with FIFOs in place of a shim.
#include "keeper/keeper.hpp"

#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keeper_client.hpp"
#include "ttrpc/fields.hpp"
#include "ttrpc_peer.hpp"

namespace berth::kata {
namespace {

using namespace std::chrono_literals;
using keeper::Operation;
using testing::ElementsAre;

class KeeperTest : public testing::Test {
 protected:
  KeeperTest() {
    ::mkfifo((folder / "log").c_str(), 0600);
    for (const char* name : {"in", "out", "err"}) ::mkfifo((folder / name).c_str(), 0600);
    start();
  }
  ~KeeperTest() override { stop(); }

  void start() {
    served = std::make_unique<keeper::Keeper>();
    EXPECT_TRUE(streams::isOk(served->open({.directory = folder / "",
                                            .events = folder / "e",
                                            .logFifo = folder / "log",
                                            .logFile = folder / "shim.log"})));
    thread = std::thread([this] { served->run(); });
  }
  void stop() {
    EXPECT_TRUE(call({.operation = Operation::kShutDown}).ok());
    thread.join();
    served->close();
    served.reset();
  }

  absl::StatusOr<keeper::Reply> call(const keeper::Request& request, const Streams& streams = {}) {
    return client.call(request, limitsFor(10s), streams);
  }
  void open(keeper::Input mode = keeper::Input::kStays, uint32_t bound = 0) {
    const auto opened = call({.operation = Operation::kOpen,
                              .key = "c",
                              .input = folder / "in",
                              .output = folder / "out",
                              .error = folder / "err",
                              .log = folder / "c.log",
                              .inputMode = mode,
                              .bound = bound});
    ASSERT_TRUE(opened.ok()) << opened.status();
  }
  // The end from which a session's output is read.
  support::Fd attachOutput() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const support::Fd theirs(ends[1]);
    EXPECT_TRUE(call({.operation = Operation::kAttach, .key = "c", .descriptors = keeper::kOutput},
                     {.output = theirs.get()})
                    .ok());
    return support::Fd(ends[0]);
  }
  support::Fd shimEnd(const char* name, int flags) {
    return support::Fd(::open((folder / name).c_str(), flags | O_CLOEXEC));
  }
  // Without their times.
  std::vector<std::string> lines(const std::string& name) {
    std::ifstream file(folder / name);
    std::vector<std::string> result;
    for (std::string line; std::getline(file, line);) result.push_back(line.substr(31));
    return result;
  }
  absl::StatusOr<keeper::Reply> nextEvent(const support::Fd& subscription) {
    const absl::Status waited = waitFor(subscription.get(), POLLIN, limitsFor(10s), "an event");
    return waited.ok() ? KeeperClient::nextEvent(subscription)
                       : absl::StatusOr<keeper::Reply>(waited);
  }

  ttrpc::test::Folder folder;
  std::unique_ptr<keeper::Keeper> served;
  KeeperClient client{folder / ""};
  std::thread thread;
};

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
  const auto events = client.subscribe(limitsFor(10s));
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
  while (waitFor(fd.get(), POLLIN, limitsFor(10s), "output").ok()) {
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

std::string forward(const std::string& topic, const std::string& container) {
  std::string event, any, envelope, request;
  ttrpc::FieldWriter(event).bytes(1, container);
  ttrpc::FieldWriter(any).bytes(2, event);
  ttrpc::FieldWriter writer(envelope);
  writer.bytes(3, topic);
  writer.bytes(4, any);
  ttrpc::FieldWriter(request).bytes(1, envelope);
  return request;
}

TEST_F(KeeperTest, TakesTheShimsEvents) {
  open();
  const auto events = client.subscribe(limitsFor(10s));
  const auto shim = ttrpc::Client::connect(folder / "e", limitsFor(10s));
  ASSERT_TRUE(events.ok() && shim.ok());
  const ttrpc::Method method{"containerd.services.events.ttrpc.v1.Events", "Forward"};
  EXPECT_TRUE((*shim)->call(method, forward("/tasks/oom", "c"), limitsFor(10s)).ok());
  EXPECT_TRUE((*shim)->call(method, forward("/tasks/oom", "unknown"), limitsFor(10s)).ok());
  EXPECT_EQ(nextEvent(*events)->event, keeper::EventKind::kOomKilled);
  EXPECT_TRUE(absl::IsInvalidArgument((*shim)->call(method, "\x0a\x7f", limitsFor(10s)).status()));
  EXPECT_TRUE(absl::IsUnimplemented((*shim)->call({"x", "y"}, "", limitsFor(10s)).status()));
  // Who waits for the exit's event has it with the rest.
  shimEnd("out", O_WRONLY);
  shimEnd("err", O_WRONLY);
  std::thread exit([&] {
    EXPECT_TRUE((*shim)->call(method, forward("/tasks/exit", "c"), limitsFor(10s)).ok());
  });
  const auto finished =
      call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 10'000, .awaitExit = 1});
  exit.join();
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->entries.at(0).oomKilled, 1u);
}

TEST_F(KeeperTest, AKeeperThatTakesOverKnowsOfKillsForMemory) {
  open();
  const ttrpc::Method method{"containerd.services.events.ttrpc.v1.Events", "Forward"};
  {
    const auto shim = ttrpc::Client::connect(folder / "e", limitsFor(10s));
    ASSERT_TRUE(shim.ok()) << shim.status();
    EXPECT_TRUE((*shim)->call(method, forward("/tasks/oom", "c"), limitsFor(10s)).ok());
  }
  stop();
  start();
  open();
  EXPECT_EQ(call({.operation = Operation::kList})->entries.at(0).oomKilled, 1u);
  // Nothing of it is another one's.
  EXPECT_TRUE(call({.operation = Operation::kForget, .key = "c"}).ok());
  open();
  EXPECT_EQ(call({.operation = Operation::kList})->entries.at(0).oomKilled, 0u);
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
