#include "streaming/wakeup.hpp"

#include <optional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace berth::streaming {
namespace {

namespace asio = boost::asio;

class WakeupTest : public testing::Test {
 protected:
  // What wait() answered, once it has.
  std::shared_ptr<std::optional<bool>> wait() {
    auto result = std::make_shared<std::optional<bool>>();
    asio::co_spawn(context, wakeup.wait(),
                   asio::bind_cancellation_slot(
                       signal.slot(), [result](const std::exception_ptr& thrown, bool awake) {
                         EXPECT_EQ(thrown, nullptr);
                         *result = awake;
                       }));
    poll();
    return result;
  }
  void poll() {
    context.restart();
    context.poll();
  }

  asio::io_context context;
  asio::cancellation_signal signal;
  Wakeup wakeup{context.get_executor()};
};

TEST_F(WakeupTest, NotifyWakesLater) {
  const auto result = wait();
  EXPECT_FALSE(result->has_value());
  wakeup.notify();
  EXPECT_FALSE(result->has_value());
  poll();
  EXPECT_EQ(*result, true);
}

TEST_F(WakeupTest, ANotificationBeforeTheWaitIsKeptOnce) {
  wakeup.notify();
  wakeup.notify();
  EXPECT_EQ(*wait(), true);
  EXPECT_FALSE(wait()->has_value());
}

TEST_F(WakeupTest, CancellationWakesAndSaysSo) {
  const auto result = wait();
  signal.emit(asio::cancellation_type::terminal);
  poll();
  EXPECT_EQ(*result, false);
}

TEST_F(WakeupTest, CancellationCountsEvenWithANotification) {
  const auto result = wait();
  signal.emit(asio::cancellation_type::terminal);
  wakeup.notify();
  poll();
  EXPECT_EQ(*result, false);
}

TEST_F(WakeupTest, SomeWaitsGoThroughCancellation) {
  bool woke = false;
  const auto through = [&]() -> Task<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await wakeup.waitThroughCancellation();
    woke = true;
  };
  asio::co_spawn(context, through(),
                 asio::bind_cancellation_slot(signal.slot(), [](const std::exception_ptr&) {}));
  poll();
  signal.emit(asio::cancellation_type::terminal);
  poll();
  EXPECT_FALSE(woke);
  wakeup.notify();
  poll();
  EXPECT_TRUE(woke);
}

}  // namespace
}  // namespace berth::streaming
