#include "plugin_check/session.hpp"

#include <cstdio>
#include <thread>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "plugin_check/blocked.hpp"
#include "plugin_check/life.hpp"
#include "plugin_check/raw_instance.hpp"

namespace berth::check {

using Clock = std::chrono::steady_clock;
using support::strCat;

namespace {

// A call that a moment has not ended waits for something.
constexpr auto kMoment = std::chrono::milliseconds(200);

}  // namespace

Session::Session(Probe& probe) : probe_(probe) {
  services_.root = probe.path("r");
  services_.state = probe.path("s");
  services_.log = [](berth_log_level level, std::string_view, std::string_view message,
                     const plugins::LogFields& fields) {
    std::string line = strCat("[", level, "] ", message);
    for (const auto& [key, value] : fields) line += strCat(" ", key, "=", value);
    std::fprintf(stderr, "%s\n", line.c_str());
  };
  services_.event = [this](std::string_view, plugins::Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    added_.notify_all();
  };
  services_.saveState = [](std::string_view, std::string_view, std::string_view,
                           std::string_view) -> absl::Status { return absl::OkStatus(); };
  services_.credentials = [](const support::RunLimits&, std::string_view,
                             const auto&) -> absl::Status {
    return absl::NotFoundError("there are no credentials");
  };
  services_.answered = [this](berth_code code, std::string_view message) {
    judgedStatus(probe_, "a call", code, message).IgnoreError();
  };
}

absl::Status Session::start() {
  BERTH_ASSIGN_OR_RETURN(const boost::json::object options, probe_.options(*library_));
  probe_.step("create and configure");
  BERTH_ASSIGN_OR_RETURN(instance_,
                         plugins::Instance::create(library_, library_->kind(), "check", options,
                                                   {.table = "check"}, services_));
  probe_.step("start");
  BERTH_RETURN_IF_ERROR(instance_->start());
  switch (library_->kind()) {
    case plugins::Kind::kSnapshotter:
      snapshotter_ = std::make_unique<plugins::Snapshotter>(*instance_);
      return snapshotter_->readFlags();
    case plugins::Kind::kRuntime:
      runtime_ = std::make_unique<plugins::Runtime>(*instance_);
      return runtime_->readFeatures();
    case plugins::Kind::kImageSource:
      source_ = std::make_unique<plugins::ImageSource>(*instance_);
      return absl::OkStatus();
    case plugins::Kind::kNetwork:
      network_ = std::make_unique<plugins::Network>(*instance_);
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

std::unique_ptr<Session> Session::begin(Probe& probe) {
  std::unique_ptr<Session> session(new Session(probe));
  session->library_ = probe.library();
  if (session->library_ == nullptr) return nullptr;
  const absl::Status started = session->start();
  if (started.ok()) return session;
  const std::string reason = strCat("does not start: ", support::fromAbsl(started.message()));
  if (lacksRights(started)) {
    probe.skip(reason);
  } else {
    blocked(probe, {"life-cycle.", "options."}, reason);
  }
  return nullptr;
}

Session::~Session() {
  end();
}

void Session::end() {
  if (instance_ == nullptr) return;
  snapshotter_.reset();
  source_.reset();
  network_.reset();
  runtime_.reset();
  probe_.step("stop and destroy");
  instance_->stop();
  instance_.reset();
}

bool Session::awaitEvent(berth_event_kind kind, const std::string& object, plugins::Event* event) {
  std::unique_lock lock(mutex_);
  return added_.wait_for(lock, std::chrono::seconds(20), [&] {
    for (const plugins::Event& one : events_) {
      if (one.kind != kind || (one.container != object && one.pod != object)) continue;
      if (event != nullptr) *event = one;
      return true;
    }
    return false;
  });
}

Clock::time_point soon(std::chrono::seconds time) {
  return Clock::now() + time;
}

void judgeCancelledBefore(Probe& probe, std::string_view what,
                          const std::function<absl::Status(const plugins::Operation&)>& call) {
  probe.step(strCat(what, " with a cancelled operation"));
  plugins::Operation op(std::string(what), soon());
  op.cancel();
  const auto begun = Clock::now();
  const absl::Status status = call(op);
  probe.expect(Clock::now() - begun < kCancelPatience,
               strCat(what, " with a cancelled operation takes longer than 2 s"));
  probe.expect(status.ok() || absl::IsCancelled(status) || absl::IsNotFound(status),
               strCat(what, " with a cancelled operation: ", status.ToString()));
}

void judgeCancelledDuring(Probe& probe, std::string_view what,
                          const std::function<absl::Status(const plugins::Operation&)>& call,
                          const std::function<void()>& begun) {
  probe.step(strCat(what, ", cancelled while it runs"));
  plugins::Operation op(std::string(what), soon(std::chrono::seconds(50)));
  Clock::time_point cancelled;
  std::thread canceller([&] {
    if (begun) begun();
    std::this_thread::sleep_for(kMoment);
    cancelled = Clock::now();
    op.cancel();
  });
  const absl::Status status = call(op);
  const auto returned = Clock::now();
  canceller.join();
  probe.expect(returned - cancelled < kCancelPatience,
               strCat(what, " returns more than 2 s after it was cancelled"));
  probe.expect(absl::IsCancelled(status),
               strCat(what, ", cancelled while it runs, is to be CANCELLED: ", status.ToString()));
}

void judgeDeadline(Probe& probe, std::string_view what,
                   const std::function<absl::Status(const plugins::Operation&)>& call) {
  probe.step(strCat(what, " past its deadline"));
  const auto deadline = Clock::now() + kMoment;
  const plugins::Operation op(std::string(what), deadline);
  const absl::Status status = call(op);
  probe.expect(Clock::now() - deadline < kCancelPatience,
               strCat(what, " returns more than 2 s after its deadline"));
  probe.expect(absl::IsDeadlineExceeded(status),
               strCat(what, " past its deadline is to be DEADLINE_EXCEEDED: ", status.ToString()));
}

}  // namespace berth::check
