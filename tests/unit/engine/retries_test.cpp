#include "engine/retries.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <vector>

#include <gtest/gtest.h>

namespace berth::engine {
namespace {

using Clock = Retries::Clock;

class RetriesTest : public ::testing::Test {
 protected:
  ~RetriesTest() override {
    retries_.finish();
    workers_.finish();
  }
  static Clock::time_point soon() { return Clock::now() + std::chrono::seconds(30); }

  static constexpr auto kNever = std::chrono::hours(24);

  common::Workers workers_;
  Retries retries_{workers_, kNever};
};

TEST_F(RetriesTest, WhatFailsIsTriedUntilItIsDone) {
  std::promise<void> done;
  std::atomic<int> tries = 0;
  retries_.add({.name = "third time lucky", .work = [&](plugins::Operation&) -> absl::Status {
                  if (++tries < 3) return absl::UnavailableError("not yet");
                  done.set_value();
                  return absl::OkStatus();
                }});
  done.get_future().wait();
  EXPECT_EQ(tries, 3);
}

TEST_F(RetriesTest, EachPauseIsLongerThanTheOneBefore) {
  constexpr std::chrono::milliseconds kFirst{20};
  constexpr size_t kTries = 5;
  std::promise<void> done;
  std::vector<Clock::time_point> tries;
  retries_.add({.name = "slow",
                .pauses = {kFirst, kNever},
                .work = [&](plugins::Operation&) -> absl::Status {
                  tries.push_back(Clock::now());
                  if (tries.size() < kTries) return absl::UnavailableError("not yet");
                  done.set_value();
                  return absl::OkStatus();
                }});
  done.get_future().wait();
  for (size_t i = 1; i < kTries; ++i)
    EXPECT_GE(tries[i] - tries[i - 1], kFirst * (1 << (i - 1))) << "after " << i << " failures";
}

TEST_F(RetriesTest, FirstTriesAreAwaited) {
  std::atomic<int> tries = 0;
  for (int i = 0; i < 100; ++i) {
    retries_.add({.name = "fails", .awaited = true, .work = [&](plugins::Operation&) {
                    ++tries;
                    return absl::UnavailableError("not yet");
                  }});
  }
  EXPECT_TRUE(retries_.awaitFirstTries(soon()));
  EXPECT_GE(tries, 100);
}

TEST_F(RetriesTest, OneThatHangsIsNotAwaitedForEver) {
  std::promise<void> hang;
  retries_.add({.name = "hangs",
                .awaited = true,
                .work = [until = hang.get_future().share()](plugins::Operation&) {
                  until.wait();
                  return absl::OkStatus();
                }});
  EXPECT_FALSE(retries_.awaitFirstTries(Clock::now() + std::chrono::milliseconds(20)));
  std::promise<void> other;
  retries_.add({.name = "goes on", .work = [&](plugins::Operation&) {
                  other.set_value();
                  return absl::OkStatus();
                }});
  other.get_future().wait();
  hang.set_value();
  EXPECT_TRUE(retries_.awaitFirstTries(soon()));
}

TEST_F(RetriesTest, NoMoreAreTriedAtOnceThanIsBearable) {
  std::atomic<size_t> now = 0;
  std::atomic<size_t> most = 0;
  std::promise<void> go;
  const std::shared_future<void> until = go.get_future().share();
  for (size_t i = 0; i < 3 * Retries::kAtOnce; ++i) {
    retries_.add({.name = "waits", .awaited = true, .work = [&, until](plugins::Operation&) {
                    const size_t mine = ++now;
                    for (size_t seen = most; mine > seen;) most.compare_exchange_weak(seen, mine);
                    until.wait();
                    --now;
                    return absl::OkStatus();
                  }});
  }
  while (now < Retries::kAtOnce) std::this_thread::yield();
  go.set_value();
  EXPECT_TRUE(retries_.awaitFirstTries(soon()));
  EXPECT_EQ(most, Retries::kAtOnce);
}

TEST_F(RetriesTest, WhatIsUndoneHoldsUpNothingThatIsAwaited) {
  std::promise<void> hang;
  const std::shared_future<void> until = hang.get_future().share();
  for (size_t i = 0; i < 2 * Retries::kAtOnce; ++i) {
    retries_.add({.name = "hangs", .work = [until](plugins::Operation&) {
                    until.wait();
                    return absl::OkStatus();
                  }});
  }
  retries_.add({.name = "goes on", .awaited = true, .work = [](plugins::Operation&) {
                  return absl::OkStatus();
                }});
  EXPECT_TRUE(retries_.awaitFirstTries(soon()));
  hang.set_value();
}

TEST_F(RetriesTest, WhatTakesLongHoldsUpNothing) {
  Retries retries(workers_, std::chrono::milliseconds(1));
  std::array<std::promise<void>, 2> others;
  std::promise<void> hang;
  const std::shared_future<void> until = hang.get_future().share();
  for (size_t i = 0; i < 3 * Retries::kAtOnce; ++i) {
    retries.add({.name = "hangs", .awaited = i % 2 == 0, .work = [until](plugins::Operation&) {
                   until.wait();
                   return absl::OkStatus();
                 }});
  }
  for (const bool awaited : {false, true}) {
    std::promise<void>& other = others[awaited];
    retries.add({.name = "goes on", .awaited = awaited, .work = [&other](plugins::Operation&) {
                   other.set_value();
                   return absl::OkStatus();
                 }});
    EXPECT_EQ(other.get_future().wait_until(soon()), std::future_status::ready);
  }
  hang.set_value();
  retries.finish();
}

TEST_F(RetriesTest, WhatThrowsIsTriedAgain) {
  std::promise<void> done;
  std::atomic<int> tries = 0;
  retries_.add({.name = "throws", .awaited = true, .work = [&](plugins::Operation&) {
                  if (++tries == 1) throw std::bad_alloc();
                  done.set_value();
                  return absl::OkStatus();
                }});
  EXPECT_TRUE(retries_.awaitFirstTries(soon()));
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  retries_.finish();
}

TEST(PausesTest, EachIsTwiceTheOneBeforeUpToTheLongest) {
  const Pauses pauses{std::chrono::seconds(10), std::chrono::seconds(60)};
  std::vector<int64_t> seconds;
  for (const unsigned failures : {0u, 1u, 2u, 3u, 4u, 5u, 4000000000u})
    seconds.push_back(pauses.after(failures) / std::chrono::seconds(1));
  EXPECT_EQ(seconds, (std::vector<int64_t>{10, 10, 20, 40, 60, 60, 60}));
}

// Its pauses are longer than anybody waits here.
class HurriedTest : public RetriesTest {
 protected:
  void addLater(std::function<absl::Status(plugins::Operation&)> work) {
    retries_.addLater({.name = "slow", .pauses = {kNever, kNever}, .work = std::move(work)});
  }
};

TEST_F(HurriedTest, WhatWaitsIsTriedNow) {
  std::atomic<int> tries = 0;
  addLater([&](plugins::Operation&) {
    ++tries;
    tries.notify_all();
    return absl::UnavailableError("not yet");
  });
  retries_.hurry("another");
  EXPECT_EQ(tries, 0);
  for (int times = 1; times < 4; ++times) {
    retries_.hurry("slow");
    tries.wait(times - 1);
  }
  retries_.finish();
}

TEST_F(HurriedTest, WhatIsUnderWayIsTriedOnceMore) {
  std::promise<void> begun;
  std::promise<void> go;
  std::promise<void> again;
  std::atomic<int> tries = 0;
  addLater([&](plugins::Operation&) -> absl::Status {
    if (++tries > 1) {
      again.set_value();
      return absl::OkStatus();
    }
    begun.set_value();
    go.get_future().wait();
    return absl::UnavailableError("not yet");
  });
  retries_.hurry("slow");
  begun.get_future().wait();
  retries_.hurry("slow");
  go.set_value();
  EXPECT_EQ(again.get_future().wait_until(soon()), std::future_status::ready);
  retries_.finish();
}

TEST_F(RetriesTest, TheEndCancelsAndWaits) {
  std::promise<void> begun;
  std::atomic<bool> cancelled = false;
  retries_.add({.name = "long", .work = [&](plugins::Operation& op) {
                  begun.set_value();
                  while (!op.cancelled()) std::this_thread::yield();
                  cancelled = true;
                  return op.check();
                }});
  begun.get_future().wait();
  retries_.finish();
  EXPECT_TRUE(cancelled);
  retries_.add({.name = "late", .awaited = true, .work = [](plugins::Operation&) {
                  ADD_FAILURE() << "tried after the end";
                  return absl::OkStatus();
                }});
  retries_.finish();
}

}  // namespace
}  // namespace berth::engine
