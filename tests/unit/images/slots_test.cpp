#include "images/slots.hpp"

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace berth::images {
namespace {

using std::chrono::milliseconds;

absl::StatusOr<Slots::Slot> takeSoon(Slots& slots, const std::string& name) {
  const plugins::Operation op("soon", plugins::Operation::Clock::now() + milliseconds(20));
  return slots.take(op, name);
}

TEST(Slots, EachNameHasItsOwn) {
  Slots slots(2);
  const auto first = takeSoon(slots, "a");
  auto second = std::optional(takeSoon(slots, "a"));
  ASSERT_TRUE(first.ok() && second->ok());
  EXPECT_EQ(takeSoon(slots, "a").status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(takeSoon(slots, "b").ok());
  EXPECT_EQ(slots.waiting(), 0u);
  second.reset();
  EXPECT_TRUE(takeSoon(slots, "a").ok());
}

TEST(Slots, AllNamesTogetherHaveFourTimesAsMany) {
  Slots slots(2);
  std::vector<Slots::Slot> taken;
  for (const char* name : {"a", "a", "b", "b", "c", "c", "d", "d"}) {
    auto slot = takeSoon(slots, name);
    ASSERT_TRUE(slot.ok()) << name;
    taken.push_back(*std::move(slot));
  }
  EXPECT_EQ(takeSoon(slots, "e").status().code(), absl::StatusCode::kDeadlineExceeded);
  taken.pop_back();
  EXPECT_TRUE(takeSoon(slots, "e").ok());
}

TEST(Slots, TurnsComeInTheOrderOfTheirWaiting) {
  Slots slots(1);
  const plugins::Operation op("patient");
  auto held = slots.take(op);
  ASSERT_TRUE(held.ok());
  auto slot = std::optional(*std::move(held));
  std::vector<int> order;
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      const auto turn = slots.take(op);
      order.push_back(number);
    });
    while (slots.waiting() != static_cast<size_t>(number) + 1) std::this_thread::yield();
  }
  slot.reset();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

}  // namespace
}  // namespace berth::images
