#include "berth/support/call_limits.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "berth/support/fd.hpp"

namespace berth::support {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kLong = std::chrono::hours(1);

struct HostsOp {
  int64_t until = INT64_MAX;
  int64_t deadline() const { return until; }
  int cancelFd() const { return 7; }
};

Fd readable(bool now) {
  return Fd(::eventfd(now ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
}

TEST(CallLimits, AreThoseOfTheHostsCall) {
  EXPECT_EQ(limitsOf(HostsOp{}).deadline, Clock::time_point::max());
  EXPECT_EQ(limitsOf(HostsOp{.until = 5}).deadline, Clock::time_point(std::chrono::nanoseconds(5)));
  EXPECT_EQ(limitsOf(HostsOp{}).cancelFd, 7);
}

TEST(CallLimits, TheEarlierDeadlineCounts) {
  const CallLimits limits{.deadline = Clock::now() + kLong, .cancelFd = 3};
  EXPECT_LT(within(limits, milliseconds(1)).deadline, limits.deadline);
  EXPECT_EQ(within(limits, 2 * kLong).deadline, limits.deadline);
  EXPECT_EQ(within(limits, milliseconds(1)).cancelFd, 3);
  EXPECT_EQ(within({.peerFd = 4, .peer = "it"}, milliseconds(1)).peerFd, 4);
  EXPECT_EQ(within({.peerFd = 4, .peer = "it"}, milliseconds(1)).peer, "it");
}

TEST(CallLimits, PollWaitsForWhatIsLeft) {
  EXPECT_EQ(pollTimeout({}), -1);
  EXPECT_EQ(pollTimeout({.deadline = Clock::now() - kLong}), 0);
  EXPECT_GT(pollTimeout(limitsFor(kLong)), 0);
  // More than poll(2) can be told.
  EXPECT_EQ(pollTimeout(limitsFor(1000 * kLong)), INT32_MAX);
}

TEST(CallLimits, AWaitEndsWithWhatComesFirst) {
  const Fd ready = readable(true);
  const Fd silent = readable(false);
  EXPECT_TRUE(waitReadable(ready.get(), limitsFor(kLong), "wait").ok());
  const absl::Status late = waitReadable(silent.get(), limitsFor(milliseconds(1)), "wait for it");
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_EQ(late.message(), "wait for it: the deadline has passed");
  const absl::Status cut = waitReadable(silent.get(), {.cancelFd = ready.get()}, "wait for it");
  EXPECT_TRUE(absl::IsCancelled(cut)) << cut;
  EXPECT_EQ(cut.message(), "wait for it: cancelled");
  // What is there is not thrown away because the call has ended.
  EXPECT_TRUE(waitReadable(ready.get(), {.cancelFd = ready.get()}, "wait").ok());
}

TEST(CallLimits, AWaitEndsWithWhomItNeeds) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const Fd ready = readable(true);
  const Fd silent = readable(false);
  CallLimits limits = limitsFor(milliseconds(1));
  limits.peerFd = ours.get();
  limits.peer = "the other one";
  // What it says is nothing to the wait.
  ASSERT_EQ(::send(theirs.get(), "x", 1, 0), 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(waitReadable(silent.get(), limits, "wait for it")));
  theirs.reset();
  limits.deadline = Clock::now() + kLong;
  const absl::Status cut = waitReadable(silent.get(), limits, "wait for it");
  EXPECT_TRUE(absl::IsUnavailable(cut)) << cut;
  EXPECT_EQ(cut.message(), "wait for it: the other one has ended");
  EXPECT_TRUE(absl::IsUnavailable(pauseFor(kLong, limits, "pause")));
  EXPECT_TRUE(waitReadable(ready.get(), limits, "wait").ok());
}

TEST(CallLimits, APauseIsOverOrCutOff) {
  const Fd cancelled = readable(true);
  EXPECT_TRUE(pauseFor(milliseconds(1), limitsFor(kLong), "pause").ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(pauseFor(kLong, limitsFor(milliseconds(1)), "pause")));
  EXPECT_TRUE(absl::IsCancelled(pauseFor(kLong, {.cancelFd = cancelled.get()}, "pause")));
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(pauseFor(milliseconds(0), limitsFor(milliseconds(0)), "pause")));
}

}  // namespace
}  // namespace berth::support
