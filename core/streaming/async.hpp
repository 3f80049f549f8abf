// How the coroutines of one strand wait for each other, for time and for work that blocks.
//
// Everything here belongs to one strand: it is made, used and destroyed on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "berth/support/threads.hpp"
#include "common/workers.hpp"
#include "streaming/stream.hpp"

namespace berth::streaming {

// Makes an asynchronous operation awaitable, with its error_code as a value.
inline constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);

// Wakes whoever waits at that moment. Conditions are therefore waited for in loops.
class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  void notify() { timer_.cancel(); }
  Task<void> wait() { co_await timer_.async_wait(kAwait); }

  // The condition is a closure made within a co_await expression (see stream.hpp).
  template <class Condition>
  Task<void> until(Condition condition) {
    static_assert(std::is_trivially_destructible_v<Condition>);
    while (!condition()) co_await wait();
  }

 private:
  boost::asio::steady_timer timer_;
};

// Coroutines that run beside the one that joins them.
class TaskGroup {
 public:
  explicit TaskGroup(boost::asio::any_io_executor executor)
      : executor_(std::move(executor)), ended_(executor_) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void spawn(Task<void> task);
  // Must have returned before the group goes.
  Task<void> join() {
    return ended_.until([this] { return running_ == 0; });
  }
  size_t running() const { return running_; }

 private:
  boost::asio::any_io_executor executor_;
  Signal ended_;
  size_t running_ = 0;
};

// Lets one coroutine in at a time, in the order in which they came.
class AsyncLock {
 public:
  explicit AsyncLock(const boost::asio::any_io_executor& executor) : moved_(executor) {}

  class Guard {
   public:
    explicit Guard(AsyncLock& lock) : lock_(&lock) {}
    Guard(Guard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (lock_ == nullptr) return;
      ++lock_->serving_;
      lock_->moved_.notify();
    }

   private:
    AsyncLock* lock_;
  };

  Task<Guard> lock() {
    const uint64_t ticket = issued_++;
    while (serving_ != ticket) co_await moved_.wait();
    co_return Guard(*this);
  }

 private:
  Signal moved_;
  uint64_t issued_ = 0;
  uint64_t serving_ = 0;
};

// Calls `tick` after each period, until it goes. `tick` may destroy its ticker.
class Ticker {
 public:
  using Duration = std::chrono::steady_clock::duration;

  Ticker(const boost::asio::any_io_executor& executor, Duration period, std::function<void()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Runs `work` on a thread that may block, and comes back to the strand with its result, a Status or
// StatusOr. RESOURCE_EXHAUSTED when there is no thread to be had. What `work` refers to must be
// there until then; it owns nothing (see stream.hpp).
template <class Work>
Task<std::invoke_result_t<Work>> runBlocking(common::Workers& workers,
                                             boost::asio::any_io_executor executor, Work work) {
  static_assert(std::is_trivially_destructible_v<Work>);
  struct State {
    explicit State(const boost::asio::any_io_executor& strand) : done(strand) {}
    Signal done;
    std::optional<std::invoke_result_t<Work>> result;
    bool ready = false;
  };
  auto state = std::make_shared<State>(executor);
  const absl::Status posted = workers.post([state, executor, work]() mutable {
    const absl::Status thrown = support::returnThrown([&] {
      state->result.emplace(work());
      return absl::OkStatus();
    });
    if (!thrown.ok()) state->result.emplace(thrown);
    // The last reference to the timer goes on the strand.
    boost::asio::post(executor, [state = std::move(state)] {
      state->ready = true;
      state->done.notify();
    });
  });
  if (!posted.ok()) co_return posted;
  co_await state->done.until([&state] { return state->ready; });
  co_return std::move(*state->result);
}

}  // namespace berth::streaming
