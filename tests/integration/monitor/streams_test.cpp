// Logs, attach, terminals.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <thread>

#include "berth/support/files.hpp"
#include "pod_fixture.hpp"

namespace berth::runc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class ContainerStreams : public PodFixture {};

TEST_F(ContainerStreams, LongLinesAreSplitAndALastLineWithoutEndIsKept) {
  startPod();
  shell("long", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short; printf rest");
  EXPECT_EQ(awaitExit("long").status.exitCode, 0);
  const std::vector<LogRecord> records = log("long");
  ASSERT_THAT(records, SizeIs(5));
  EXPECT_EQ(records[0].tag, "P");
  EXPECT_EQ(records[0].content.size(), 16384u);
  EXPECT_EQ(records[2].tag, "F");
  EXPECT_EQ(records[2].content.size(), 40000u - 2 * 16384u);
  EXPECT_EQ(records[3].content, "short");
  EXPECT_EQ(records[4].tag, "P");
  EXPECT_EQ(records[4].content, "rest");
}

TEST_F(ContainerStreams, NoLineIsLostWhenALoudContainerExits) {
  startPod();
  shell("loud", "seq 1 200000; seq 1 1000 >&2");
  awaitExit("loud");
  const std::vector<std::string> lines = logLines(log("loud"), "stdout");
  ASSERT_EQ(lines.size(), 200000u);
  for (size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i], std::to_string(i + 1));
  EXPECT_EQ(logLines(log("loud"), "stderr").size(), 1000u);
}

TEST_F(ContainerStreams, RotationLosesAndDoublesNothing) {
  startPod();
  shell("turns", "seq 1 300000");
  std::vector<std::string> parts;
  for (int i = 0; i < 20; ++i) {
    parts.push_back(absl::StrCat(logPath("turns"), ".", i));
    std::filesystem::rename(logPath("turns"), parts.back());
    ASSERT_TRUE(client_->reopenLog("turns", "", soon()).ok());
  }
  awaitExit("turns");
  parts.push_back(logPath("turns"));
  std::vector<LogRecord> records;
  for (const std::string& part : parts) {
    const auto text = support::readFile(part);
    REQUIRE_OK(text);
    const std::vector<LogRecord> more = parseLog(*text);
    records.insert(records.end(), more.begin(), more.end());
  }
  const std::vector<std::string> lines = logLines(records, "stdout");
  ASSERT_EQ(lines.size(), 300000u);
  for (size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i], std::to_string(i + 1));
}

TEST_F(ContainerStreams, AReopenThatFailsKeepsTheOldLog) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOnce;
  shell("keeps", "read x; echo $x", options);
  EXPECT_FALSE(client_->reopenLog("keeps", directory_ + "/no/such/folder/log", soon()).ok());
  Pipe in;
  REQUIRE_OK(client_->attach("keeps", {in.read.get(), -1, -1}, soon()));
  REQUIRE_OK(support::writeAll(in.write.get(), "still here\n"));
  awaitExit("keeps");
  EXPECT_THAT(logLines(log("keeps"), "stdout"), ElementsAre("still here"));
}

TEST_F(ContainerStreams, AFullDiskDropsLinesAndIsCounted) {
  startPod();
  create("full", {"/bin/sh", "-c", "seq 1 20000; exit 2"});
  // Every write to it fails with ENOSPC.
  REQUIRE_OK(client_->reopenLog("full", "/dev/full", soon()));
  REQUIRE_OK(client_->startContainer("full", soon()));
  const MonitorEvent exit = awaitExit("full");
  EXPECT_EQ(exit.status.exitCode, 2);
  EXPECT_GT(exit.status.droppedLogBytes, 20000u);
}

TEST_F(ContainerStreams, StdinOnceClosesWithTheFirstSession) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOnce;
  run("once", {"/bin/cat"}, options);
  Pipe in, out;
  REQUIRE_OK(client_->attach("once", {in.read.get(), out.write.get(), -1}, soon()));
  in.read.reset();
  out.write.reset();
  REQUIRE_OK(support::writeAll(in.write.get(), "hello cat\n"));
  EXPECT_EQ(readUntil(out.read.get(), "\n"), "hello cat\n");
  REQUIRE_OK(support::writeAll(in.write.get(), "bye"));
  in.write.reset();
  EXPECT_EQ(readToEnd(out.read.get()), "bye");
  EXPECT_EQ(awaitExit("once").status.exitCode, 0);
  EXPECT_THAT(logLines(log("once"), "stdout"), ElementsAre("hello cat", "bye"));
}

TEST_F(ContainerStreams, StdinStaysOpenOverSessionsUntilItIsClosed) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOpen;
  run("open", {"/bin/cat"}, options);
  for (const char* text : {"first\n", "second\n"}) {
    Pipe in, out;
    REQUIRE_OK(client_->attach("open", {in.read.get(), out.write.get(), -1}, soon()));
    in.read.reset();
    out.write.reset();
    REQUIRE_OK(support::writeAll(in.write.get(), text));
    in.write.reset();
    EXPECT_EQ(readUntil(out.read.get(), "\n"), text);
  }
  EXPECT_OK(client_->closeStdin("open", "", soon()));
  EXPECT_OK(client_->closeStdin("open", "", soon()));
  EXPECT_EQ(awaitExit("open").status.exitCode, 0);
}

TEST_F(ContainerStreams, MuchInputIsForwardedWhole) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOnce;
  run("count", {"/bin/wc", "-c"}, options);
  Pipe in;
  REQUIRE_OK(client_->attach("count", {in.read.get(), -1, -1}, soon()));
  in.read.reset();
  const int flags = fcntl(in.write.get(), F_GETFL);
  ASSERT_EQ(fcntl(in.write.get(), F_SETFL, flags & ~O_NONBLOCK), 0);
  REQUIRE_OK(support::writeAll(in.write.get(), std::string(5'000'000, 'x')));
  in.write.reset();
  awaitExit("count");
  EXPECT_THAT(logLines(log("count"), "stdout"), ElementsAre("5000000"));
}

TEST_F(ContainerStreams, ASlowSessionLosesNothingAndTwoSeeTheSame) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOpen;
  shell("two", "read go; seq 1 100000", options);
  Pipe in, slow, fast;
  REQUIRE_OK(client_->attach("two", {-1, slow.write.get(), -1}, soon()));
  REQUIRE_OK(client_->attach("two", {in.read.get(), fast.write.get(), -1}, soon()));
  slow.write.reset();
  fast.write.reset();
  EXPECT_EQ(statusOf("two").attached, 2u);
  REQUIRE_OK(support::writeAll(in.write.get(), "go\n"));
  // The slow one is only read once the fast one has stalled behind it or ended.
  std::string fastText;
  std::thread reader([&] { fastText = readToEnd(fast.read.get()); });
  const std::string start = readUntil(slow.read.get(), "\n1000\n");
  const std::string slowText = start + readToEnd(slow.read.get());
  reader.join();
  EXPECT_EQ(fastText, slowText);
  EXPECT_EQ(std::count(slowText.begin(), slowText.end(), '\n'), 100000);
  awaitExit("two");
  EXPECT_EQ(logLines(log("two"), "stdout").size(), 100000u);
}

TEST_F(ContainerStreams, ASessionThatLeavesDoesNotDisturb) {
  startPod();
  ContainerOptions options;
  options.stdinMode = protocol::StdinMode::kOpen;
  shell("left", "read go; seq 1 50000", options);
  {
    Pipe in, out;
    REQUIRE_OK(client_->attach("left", {in.read.get(), out.write.get(), -1}, soon()));
    REQUIRE_OK(support::writeAll(in.write.get(), "go\n"));
    out.write.reset();
    readUntil(out.read.get(), "\n10\n");
  }
  awaitExit("left");
  EXPECT_EQ(logLines(log("left"), "stdout").size(), 50000u);
}

TEST_F(ContainerStreams, TerminalOfAContainer) {
  startPod();
  ContainerOptions options;
  options.terminal = true;
  options.stdinMode = protocol::StdinMode::kOpen;
  shell("tty", "read a; stty size; echo err >&2; exit 8", options);
  EXPECT_OK(client_->resize("tty", "", 81, 31, soon()));
  Pipe in, out;
  REQUIRE_OK(client_->attach("tty", {in.read.get(), out.write.get(), -1}, soon()));
  in.read.reset();
  out.write.reset();
  REQUIRE_OK(support::writeAll(in.write.get(), "go\n"));
  const std::string text = readToEnd(out.read.get());
  EXPECT_THAT(text, HasSubstr("31 81\r\n"));
  EXPECT_THAT(text, HasSubstr("err\r\n"));
  EXPECT_EQ(awaitExit("tty").status.exitCode, 8);
  EXPECT_THAT(logLines(log("tty"), "stdout"), testing::Contains("31 81\r"));
  EXPECT_THAT(logLines(log("tty"), "stderr"), testing::IsEmpty());
}

TEST_F(ContainerStreams, ATerminalsLastOutputIsLogged) {
  startPod();
  for (int i = 0; i < 5; ++i) {
    const std::string id = absl::StrCat("tty-", i);
    ContainerOptions options;
    options.terminal = true;
    shell(id, "seq 1 20000", options);
    awaitExit(id);
    EXPECT_EQ(logLines(log(id), "stdout").size(), 20000u);
  }
}

TEST_F(ContainerStreams, WithoutALogOutputIsDiscarded) {
  startPod();
  ContainerOptions options;
  options.log = false;
  shell("quiet", "seq 1 100000; exit 1", options);
  EXPECT_EQ(awaitExit("quiet").status.exitCode, 1);
  EXPECT_EQ(statusOf("quiet").droppedLogBytes, 0u);
}

}  // namespace
}  // namespace berth::runc
