#include "call_slots.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace berth::kata {
namespace {

using namespace std::chrono_literals;

TEST(CallSlots, NoMoreThanItsCountAreTaken) {
  CallSlots slots(2);
  std::atomic<int> taken = 0;
  std::atomic<int> most = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const auto slot = slots.take(support::limitsFor(30s), "wait");
        ASSERT_TRUE(slot.ok()) << slot.status();
        const int now = ++taken;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::yield();
        --taken;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 2);
}

TEST(CallSlots, WaitingEndsAtTheLimitsAndWithAFreeOne) {
  CallSlots slots(1);
  std::optional<absl::StatusOr<CallSlots::Slot>> first(slots.take({}, "wait for others"));
  const absl::Status refused = slots.take(support::limitsFor(1ms), "wait for others").status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused)) << refused;
  EXPECT_EQ(refused.message().find("wait for others"), 0u) << refused;
  first.reset();
  EXPECT_TRUE(slots.take(support::limitsFor(10s), "wait for others").ok());
}

}  // namespace
}  // namespace berth::kata
