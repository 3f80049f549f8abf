#include "streaming/session.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::streaming {

namespace v1 = runtime::v1;
using support::strCat;
using namespace std::chrono_literals;

namespace {

Task<absl::Status> serve(Session& session, const StreamRequest& request) {
  if (const auto* exec = std::get_if<v1::ExecRequest>(&request)) {
    co_return co_await execSession(session, *exec);
  }
  if (const auto* attach = std::get_if<v1::AttachRequest>(&request)) {
    co_return co_await attachSession(session, *attach);
  }
  co_return co_await portForwardSession(session, std::get<v1::PortForwardRequest>(request));
}

}  // namespace

Task<absl::Status> Session::run(const StreamRequest& request) {
  TaskGroup carrier(executor_);
  carrier.spawn(carry());
  absl::Status status;
  {
    const std::chrono::seconds most = services_.settings.idleTimeout;
    std::optional<Ticker> idle;
    if (most > 0s) {
      const std::chrono::milliseconds period = most;
      idle.emplace(executor_, std::clamp<std::chrono::milliseconds>(period / 10, 50ms, 60s),
                   [this] { endWhenIdle(); });
    }
    status = co_await serve(*this, request);
  }
  co_await connection_->shutdown();
  co_await carrier.join();
  co_return status;
}

Task<void> Session::carry() {
  const absl::Status status = co_await connection_->run();
  interrupt(status.ok() ? absl::UnavailableError("the client has closed the connection") : status);
}

void Session::interrupt(absl::Status why) {
  if (interrupted()) return;
  why_ = std::move(why);
  notify();
}

void Session::endWhenIdle() {
  const auto silence = std::chrono::steady_clock::now() - lastTraffic_;
  if (silence < services_.settings.idleTimeout) return;
  interrupt(absl::DeadlineExceededError(
      strCat("nothing was sent or received for ", services_.settings.idleTimeout.count(), " s")));
}

}  // namespace berth::streaming
