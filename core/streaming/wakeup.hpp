// How one coroutine waits for what another one does. Everything on one strand.
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "streaming/stream.hpp"

namespace berth::streaming {

// For one coroutine at a time, which looks again at what it waits for each time it wakes:
//
//   while (!condition) {
//     if (!co_await changed.wait()) co_return absl::CancelledError(...);
//   }
//
// A notify() that finds nobody waiting is kept, so a wake-up can come without cause but is never
// lost; several of them wake once. The waiting coroutine goes on later, never within notify(). A
// Wakeup must live as long as somebody waits, and not longer than its execution context.
//
// It is a timer that is only ever cancelled: Boost.Asio 1.81's channels do not bear being used
// while their context is being destroyed, which is when coroutines' owners say their last words.
class Wakeup {
 public:
  explicit Wakeup(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  void notify() {
    notified_ = true;
    timer_.cancel();
  }

  // False when the coroutine was cancelled (Boost.Asio's per-operation cancellation).
  Task<bool> wait() {
    if (!notified_) {
      co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    const bool isAwake = std::exchange(notified_, false);
    co_return (isAwake && state.cancelled() == boost::asio::cancellation_type::none);
  }

  // The same for a coroutine that must not go away yet, because others use what it owns: a
  // cancellation does not wake it. Such a coroutine has to call
  // this_coro::throw_if_cancelled(false) before.
  Task<void> waitThroughCancellation() {
    if (!notified_) {
      co_await timer_.async_wait(boost::asio::bind_cancellation_slot(
          boost::asio::cancellation_slot(), boost::asio::as_tuple(boost::asio::use_awaitable)));
    }
    notified_ = false;
  }

 private:
  boost::asio::steady_timer timer_;
  bool notified_ = false;
};

}  // namespace berth::streaming
