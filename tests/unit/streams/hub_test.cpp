// The output of a process, and the sessions that follow it.
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/streams/io_hub.hpp"

namespace berth::streams {
namespace {

class Hub : public testing::Test, public HubListener {
 protected:
  void SetUp() override {
    // As in the monitor: a closed pipe is an error of write(), not a signal.
    signal(SIGPIPE, SIG_IGN);
    ASSERT_EQ(loop_.open().code, Code::kOk);
    makeHub(kStuckAfterNs);
  }
  void makeHub(int64_t stuckAfterNs) {
    hub_ = std::make_unique<IoHub>(loop_, *this, stuckAfterNs);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    hub_->openOutput(LogStream::Kind::kStdout, Fd(ends[0]), nullptr);
    process_.reset(ends[1]);
  }
  // Fills the process's pipe with more than a session that nobody reads takes.
  void writeMuch() {
    const std::string text(400000, 'x');
    ASSERT_GE(fcntl(process_.get(), F_SETPIPE_SZ, 1 << 20), 400000);
    ASSERT_EQ(write(process_.get(), text.data(), text.size()), 400000);
  }
  // What the process has written and the hub has not read.
  int unread() const {
    int bytes = 0;
    EXPECT_EQ(ioctl(process_.get(), FIONREAD, &bytes), 0);
    return bytes;
  }
  // One session after the other, each of whose readers goes at once.
  class Visitors final : public Timer {
   public:
    Visitors(Hub& hub, int count) : hub_(hub), left_(count) { onTimer(); }
    ~Visitors() { hub_.loop_.disarm(*this); }

   private:
    void onTimer() override {
      if (left_-- == 0) return hub_.loop_.stop();
      hub_.attach();
      hub_.loop_.arm(*this, 5'000'000);
    }
    Hub& hub_;
    int left_;
  };
  // Ends the loop's run after a while.
  class Alarm final : public Timer {
   public:
    Alarm(Loop& loop, int64_t afterNs) : loop_(loop) { loop_.arm(*this, afterNs); }
    ~Alarm() { loop_.disarm(*this); }

   private:
    void onTimer() override { loop_.stop(); }
    Loop& loop_;
  };
  void onSessionsGone() override {
    ++gone_;
    loop_.stop();
  }
  void onInputEnded() override {
    inputEnded_ = true;
    loop_.stop();
  }
  Fd attach() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    hub_->attach(Fd(), Fd(ends[1]), Fd());
    return Fd(ends[0]);
  }
  std::string readAll(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t count = 0; (count = read(fd, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }

  Loop loop_;
  std::unique_ptr<IoHub> hub_;
  Fd process_;
  int gone_ = 0;
  bool inputEnded_ = false;
};

TEST_F(Hub, TheRestOfADeadProcessReachesEverySession) {
  const Fd first = attach();
  const Fd second = attach();
  ASSERT_EQ(write(process_.get(), "last words", 10), 10);
  hub_->drain();
  hub_->endSessions();
  EXPECT_EQ(readAll(first.get()), "last words");
  EXPECT_EQ(readAll(second.get()), "last words");
  EXPECT_EQ(gone_, 1);
  EXPECT_EQ(hub_->sessions(), 0u);
}

TEST_F(Hub, MoreThanASessionTakesWaitsForIt) {
  const Fd reader = attach();
  // The session's pipe holds 64 KiB; this much cannot go at once.
  const std::string text(200000, 'x');
  ASSERT_GE(fcntl(process_.get(), F_SETPIPE_SZ, 1 << 20), 200000);
  ASSERT_EQ(write(process_.get(), text.data(), text.size()), 200000);
  hub_->drain();
  hub_->endSessions();
  EXPECT_EQ(hub_->sessions(), 1u);
  std::string got;
  std::thread thread([&] { got = readAll(reader.get()); });
  loop_.run();  // until the session is gone
  thread.join();
  EXPECT_EQ(got, text);
}

TEST_F(Hub, ASessionWhoseReaderLeftEnds) {
  attach();  // its reader goes at once
  ASSERT_EQ(hub_->sessions(), 1u);
  loop_.run();
  EXPECT_EQ(hub_->sessions(), 0u);
}

constexpr int64_t kShortNs = 100'000'000;

TEST_F(Hub, ASessionThatNobodyReadsIsGivenUp) {
  makeHub(kShortNs);
  const Fd reader = attach();
  writeMuch();
  loop_.run();  // until the session is gone
  EXPECT_EQ(hub_->sessions(), 0u);
}

TEST_F(Hub, OneThatTakesNextToNothingIsGivenUpToo) {
  makeHub(kShortNs);
  const Fd reader = attach();
  writeMuch();
  std::atomic<bool> stop = false;
  std::thread trickle([&] {
    char page[4096];
    while (!stop && read(reader.get(), page, sizeof page) > 0) usleep(20000);
  });
  loop_.run();  // until the session is gone
  stop = true;
  trickle.join();
  EXPECT_EQ(hub_->sessions(), 0u);
}

TEST_F(Hub, OneThatMayTakeItsTimeIsNotGivenUp) {
  makeHub(kNeverStuck);
  const Fd reader = attach();
  writeMuch();
  Alarm alarm(loop_, 3 * kShortNs);
  loop_.run();  // until the alarm
  EXPECT_EQ(hub_->sessions(), 1u);
  hub_->drain();
  hub_->endSessions();
  std::string got;
  std::thread thread([&] { got = readAll(reader.get()); });
  loop_.run();  // until the session is gone
  thread.join();
  EXPECT_EQ(got.size(), 400000u);
}

// What has been sent must not stay with what waits: a reader that is always a little behind never
// sees the backlog empty.
TEST_F(Hub, ASinkThatIsNeverEmptyHoldsOnlyWhatWaits) {
  struct Nobody final : SinkListener {
    void onSinkSpace() override {}
    void onSinkGone() override {}
  } nobody;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reader(ends[0]);
  Sink sink(loop_, nobody, Fd(ends[1]), kStuckAfterNs);
  const std::string piece(Scratch::kSize, 'x');
  std::string taken(piece.size(), '\0');
  size_t offered = 0;
  size_t read = 0;
  while (offered < 100 * kBacklogLimit) {
    while (!sink.full()) {
      sink.offer(piece);
      offered += piece.size();
    }
    ASSERT_LE(sink.held(), 2 * kBacklogLimit + 2 * piece.size());
    while (sink.full()) {
      const ssize_t count = ::read(reader.get(), taken.data(), taken.size());
      ASSERT_GT(count, 0);
      read += static_cast<size_t>(count);
      Alarm alarm(loop_, 0);
      loop_.run();  // the sink notices the room
    }
  }
  EXPECT_GT(read, 90 * kBacklogLimit);
}

TEST_F(Hub, SessionsThatComeAndGoPileNothingUpForOneThatIsFull) {
  const Fd stuck = attach();
  writeMuch();
  const Visitors visitors(*this, 8);
  loop_.run();
  EXPECT_EQ(hub_->sessions(), 1u);
  // Its pipe, its backlog, and what one read brings beyond that.
  EXPECT_GE(unread(), 400000 - (64 << 10) - static_cast<int>(kBacklogLimit + Scratch::kSize));
}

TEST_F(Hub, TheRestOfADeadProcessWaitsForNoSessionUpToALimit) {
  makeHub(kNeverStuck);
  const Fd reader = attach();
  hub_->awaitRest();
  for (int i = 0; i < 4; ++i) {
    writeMuch();
    const Alarm alarm(loop_, 50'000'000);
    loop_.run();
  }
  const auto all = static_cast<size_t>(4 * 400000);
  const size_t most = (64u << 10) + IoHub::kRestLimit + Scratch::kSize;
  EXPECT_GE(static_cast<size_t>(unread()), all - most);
  EXPECT_LE(static_cast<size_t>(unread()), all - IoHub::kRestLimit);
}

TEST_F(Hub, AfterTheExitASessionIsGivenUpThatStopsReading) {
  makeHub(kShortNs);
  const Fd reader = attach();
  const std::string text(100000, 'x');
  ASSERT_GE(fcntl(process_.get(), F_SETPIPE_SZ, 1 << 20), 100000);
  ASSERT_EQ(write(process_.get(), text.data(), text.size()), 100000);
  hub_->drain();
  hub_->endSessions();
  ASSERT_EQ(hub_->sessions(), 1u);
  // It takes a part of what is left for it, and then no more.
  std::string part(8192, '\0');
  ASSERT_EQ(read(reader.get(), part.data(), part.size()), 8192);
  loop_.run();  // until the session is gone
  EXPECT_EQ(hub_->sessions(), 0u);
}

TEST_F(Hub, ASessionThatComesTooLateEndsAtOnce) {
  hub_->drain();
  hub_->endSessions();
  const Fd reader = attach();
  EXPECT_EQ(readAll(reader.get()), "");
  EXPECT_EQ(hub_->sessions(), 0u);
}

// The process's input is a FIFO, of which another one opens the end for reading: its shim.
class HubWithFifo : public Hub {
 protected:
  void SetUp() override {
    Hub::SetUp();
    path_ = testing::TempDir() + "input-" + std::to_string(getpid());
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    Fd standIn = openEnd(O_RDONLY);
    hub_->openInput(openEnd(O_WRONLY), InputEnd::kWithFirstSession, std::move(standIn));
  }
  void TearDown() override { unlink(path_.c_str()); }
  Fd openEnd(int flags) {
    Fd end(open(path_.c_str(), flags | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(end) << path_;
    return end;
  }
  // A session that has all of its input at once, and its end.
  void give(std::string_view text) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const Fd writer(ends[1]);
    ASSERT_EQ(write(writer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    hub_->attach(Fd(ends[0]), Fd(), Fd());
  }
  void runFor(int64_t ns) {
    Alarm alarm(loop_, ns);
    loop_.run();
  }
  // At its end a FIFO without a writer gives nothing, and one with a writer an error.
  bool isAtEnd(const Fd& reader) {
    char byte = 0;
    return read(reader.get(), &byte, 1) == 0;
  }

  static constexpr int64_t kAWhileNs = 20'000'000;
  std::string path_;
};

TEST_F(HubWithFifo, AReaderThatComesLateHasAllOfTheInput) {
  give("all of it");
  loop_.run();  // until the session is gone
  runFor(kAWhileNs);
  ASSERT_FALSE(inputEnded_);
  const Fd reader = openEnd(O_RDONLY);
  EXPECT_EQ(readAll(reader.get()), "all of it");
  ASSERT_FALSE(inputEnded_) << "it is told before it is read";
  loop_.run();  // until the input's end
  EXPECT_TRUE(inputEnded_);
  EXPECT_TRUE(isAtEnd(reader));
}

TEST_F(HubWithFifo, AReaderThatComesLateHasTheEndOfNoInput) {
  give("");
  loop_.run();  // until the session is gone
  runFor(kAWhileNs);
  ASSERT_FALSE(inputEnded_);
  const Fd reader = openEnd(O_RDONLY);
  ASSERT_FALSE(isAtEnd(reader));
  loop_.run();  // until the input's end
  EXPECT_TRUE(isAtEnd(reader));
}

TEST_F(HubWithFifo, TheEndOfInputIsToldOnceItIsRead) {
  const Fd reader = openEnd(O_RDONLY);
  give("some");
  loop_.run();  // until the session is gone
  runFor(kAWhileNs);
  ASSERT_FALSE(inputEnded_);
  EXPECT_EQ(readAll(reader.get()), "some");
  loop_.run();  // until the input's end
  EXPECT_TRUE(isAtEnd(reader));
}

TEST_F(HubWithFifo, NobodyReadsItUntilTheProcessEnds) {
  give("for nobody");
  loop_.run();  // until the session is gone
  hub_->endSessions();
  runFor(kAWhileNs);
  ASSERT_FALSE(inputEnded_);
  EXPECT_TRUE(isAtEnd(openEnd(O_RDONLY))) << "it is still open";
}

}  // namespace
}  // namespace berth::streams
