#include "in_parallel.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::bench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

absl::Status failure(int number) {
  return absl::InternalError(absl::StrCat("task ", number));
}

// The numbers of the tasks that have run.
class Runs {
 public:
  void add(int number) {
    const std::lock_guard lock(mutex_);
    numbers_.push_back(number);
  }
  std::vector<int> sorted() const {
    std::vector<int> numbers = numbers_;
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

 private:
  std::mutex mutex_;
  std::vector<int> numbers_;
};

std::vector<int> numbersBelow(int count) {
  std::vector<int> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(InParallel, runsEachTaskOnce) {
  Runs runs;
  const absl::Status status = inParallel(100, 8, [&](int i) {
    runs.add(i);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(runs.sorted(), ElementsAreArray(numbersBelow(100)));
}

TEST(InParallel, runsAsManyAtOnceAsItsWidth) {
  constexpr int kWidth = 4;
  std::mutex mutex;
  std::condition_variable changed;
  int running = 0;
  int most = 0;
  const absl::Status status = inParallel(3 * kWidth, kWidth, [&](int) -> absl::Status {
    std::unique_lock lock(mutex);
    most = std::max(most, ++running);
    changed.notify_all();
    const bool met =
        changed.wait_for(lock, std::chrono::seconds(20), [&] { return most == kWidth; });
    --running;
    return met ? absl::OkStatus() : absl::DeadlineExceededError("the others have not begun");
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(most, kWidth);
}

TEST(InParallel, endsWithTheFirstFailure) {
  Runs runs;
  const absl::Status status = inParallel(10, 1, [&](int i) {
    runs.add(i);
    return i == 2 ? failure(i) : absl::OkStatus();
  });
  EXPECT_EQ(status, failure(2));
  EXPECT_THAT(runs.sorted(), ElementsAre(0, 1, 2));
}

TEST(EachInParallel, carriesOnAndTellsAllFailures) {
  Runs runs;
  const absl::Status status = eachInParallel(10, 3, [&](int i) {
    runs.add(i);
    return i % 5 == 2 ? failure(i) : absl::OkStatus();
  });
  EXPECT_THAT(runs.sorted(), ElementsAreArray(numbersBelow(10)));
  EXPECT_THAT(status.message(), AllOf(HasSubstr("task 2"), HasSubstr("task 7")));
}

TEST(EachInParallel, succeedsWithNothingToDo) {
  EXPECT_TRUE(eachInParallel(0, 3, failure).ok());
}

}  // namespace
}  // namespace berth::bench
