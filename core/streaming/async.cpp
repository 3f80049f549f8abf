#include "streaming/async.hpp"

#include <boost/asio/co_spawn.hpp>

#include "common/log.hpp"

namespace berth::streaming {

namespace asio = boost::asio;

namespace {

std::string whatOf(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an unknown exception";
  }
}

}  // namespace

void TaskGroup::spawn(Task<void> task) {
  ++running_;
  asio::co_spawn(executor_, std::move(task), [this](const std::exception_ptr& thrown) {
    // Nothing of ours throws: this is memory that ran out, and only this part of a session ends.
    if (thrown) common::logError("part of a streaming session failed", {{"error", whatOf(thrown)}});
    if (--running_ == 0) ended_.notify();
  });
}

struct Ticker::State : std::enable_shared_from_this<State> {
  State(const asio::any_io_executor& executor, Duration every, std::function<void()> call)
      : timer(executor), period(every), tick(std::move(call)) {}

  void arm() {
    timer.expires_after(period);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code&) {
      if (!self->tick) return;
      // A copy: the call may destroy the ticker, and with it the original.
      const std::function<void()> call = self->tick;
      call();
      if (self->tick) self->arm();
    });
  }

  asio::steady_timer timer;
  Duration period;
  std::function<void()> tick;
};

Ticker::Ticker(const asio::any_io_executor& executor, Duration period, std::function<void()> tick)
    : state_(std::make_shared<State>(executor, period, std::move(tick))) {
  state_->arm();
}

Ticker::~Ticker() {
  state_->tick = nullptr;
  state_->timer.cancel();
}

}  // namespace berth::streaming
