#include "monitor_link.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "berth/support/lock_within.hpp"
#include "berth/support/status.hpp"
#include "monitor_client.hpp"

namespace berth::runc {

using support::strCat;
using Clock = std::chrono::steady_clock;

namespace {

// Between two looks at a monitor that is about to serve or to end: twice as long each time.
constexpr auto kFirstPause = std::chrono::milliseconds(5);
constexpr auto kLongestPause = std::chrono::milliseconds(160);
// A connection that breaks as soon as it is made is not made anew more often than this.
constexpr auto kShortestLife = std::chrono::milliseconds(100);
// How many connections one call may use up.
constexpr int kMostBreaks = 3;

// Whether it is the monitor's: a shortage may be one of this process, before or after the question.
bool isAnswer(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsCancelled(status) &&
         !absl::IsDeadlineExceeded(status) && !absl::IsResourceExhausted(status);
}

}  // namespace

absl::StatusOr<std::shared_ptr<MonitorClient>> MonitorLink::reach(const CallLimits& limits) {
  if (auto client = current()) return client;
  const std::string doing = strCat("connect to the monitor of pod ", pod_);
  std::unique_lock turn(connecting_, std::defer_lock);
  BERTH_RETURN_IF_ERROR(support::lockWithin(turn, limits, doing));
  // A monitor whose connection broke, or that a host of before has left, serves its folder, or is
  // about to, or to end. It holds the folder from its first step on, and nothing tells which.
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    if (isDead()) return gone();
    if (auto client = current()) return client;
    BERTH_ASSIGN_OR_RETURN(const bool held, monitorHolds(runDir_));
    if (!held) {
      // What it started to make containers with is killed by its end, and not a moment before.
      BERTH_RETURN_IF_ERROR(awaitProcessEnd(limits));
      declareDead();
      return gone();
    }
    absl::Status connected = connect(limits);
    if (connected.ok()) continue;
    // NOT_FOUND: nobody serves it at this moment. UNAVAILABLE: it hung up while it was asked.
    if (!absl::IsNotFound(connected) && !absl::IsUnavailable(connected)) return connected;
    BERTH_RETURN_IF_ERROR(
        pauseFor(pause, limits, strCat(doing, ", which neither serves nor ends")));
  }
}

absl::Status MonitorLink::call(const CallLimits& limits, const Call& call, bool* unclear) {
  bool ignored = false;
  bool& mayHaveBeenAsked = unclear == nullptr ? ignored : *unclear;
  mayHaveBeenAsked = false;
  for (int breaks = 1;; ++breaks) {
    const auto client = reach(limits);
    if (!client.ok()) return client.status();
    absl::Status status = call(**client);
    mayHaveBeenAsked = !isAnswer(status);
    if (!absl::IsUnavailable(status)) return status;
    giveUp(**client);
    if (breaks == kMostBreaks) {
      return absl::AbortedError(
          strCat("connections to the monitor of pod ", pod_, " break again and again"));
    }
  }
}

bool MonitorLink::isDead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

bool MonitorLink::isEnding() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

absl::Status MonitorLink::shutDown(const CallLimits& limits) {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  absl::Status status =
      call(limits, [&](MonitorClient& client) { return client.shutdown(limits); });
  // It hangs up a moment before it ends, and holds its run folder until then.
  if (status.ok()) status = awaitProcessEnd(limits);
  if (status.ok() || absl::IsUnavailable(status)) return absl::OkStatus();
  bool broken = false;
  {
    const std::lock_guard lock(mutex_);
    ending_ = false;
    broken = connected_ != 0 && broken_ >= connected_;
  }
  if (broken) listener_.onBroken();
  return status;
}

void MonitorLink::hangUp() {
  std::shared_ptr<MonitorClient> client;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    client = std::exchange(client_, nullptr);
  }
  // Its end waits for a handler, which takes the lock.
  client.reset();
}

std::shared_ptr<MonitorClient> MonitorLink::current() const {
  const std::lock_guard lock(mutex_);
  return broken_ < connected_ && !dead_ ? client_ : nullptr;
}

// With the turn to do so.
absl::Status MonitorLink::connect(const CallLimits& limits) {
  uint64_t connection = 0;
  Clock::time_point earliest;
  {
    const std::lock_guard lock(mutex_);
    connection = ++attempts_;
    earliest = connectedAt_ + kShortestLife;
  }
  if (const auto now = Clock::now(); now < earliest) {
    BERTH_RETURN_IF_ERROR(pauseFor(std::chrono::ceil<std::chrono::milliseconds>(earliest - now),
                                   limits, strCat("connect to the monitor of pod ", pod_)));
  }
  BERTH_ASSIGN_OR_RETURN(
      std::shared_ptr<MonitorClient> client,
      MonitorClient::connect(
          runDir_, [this, connection](const MonitorEvent& event) { handle(event, connection); },
          limits));
  const protocol::PodFacts& facts = client->facts();
  if (facts.podId != pod_) {
    return absl::FailedPreconditionError(strCat("the monitor in ", runDir_, " is that of pod ",
                                                facts.podId, ", not of ", pod_,
                                                ": move the folder away and remove the pod"));
  }
  const auto process = std::make_shared<const support::Fd>(
      static_cast<int>(::syscall(SYS_pidfd_open, facts.monitorPid, 0)));
  // It is what proves the monitor's end later on. ESRCH: it has ended already.
  if (!*process && errno != ESRCH)
    return support::errnoStatus(errno, strCat("open process ", facts.monitorPid, ", a monitor"));
  BERTH_ASSIGN_OR_RETURN(const MonitorClient::Listing listing, client->subscribe(limits));
  listener_.onListing(listing);
  const std::lock_guard lock(mutex_);
  connectedAt_ = Clock::now();
  if (broken_ >= connection)
    return absl::UnavailableError(strCat("the monitor of pod ", pod_, " has just hung up"));
  connected_ = connection;
  process_ = process;
  // The one that broke goes after the lock: its end waits for its handler.
  client_.swap(client);
  return absl::OkStatus();
}

// OK at once when none was ever connected to.
absl::Status MonitorLink::awaitProcessEnd(const CallLimits& limits) const {
  std::shared_ptr<const support::Fd> process;
  {
    const std::lock_guard lock(mutex_);
    process = process_;
  }
  if (process == nullptr || !*process) return absl::OkStatus();
  return waitReadable(process->get(), limits, strCat("wait for the end of the monitor of ", pod_));
}

void MonitorLink::declareDead() {
  std::shared_ptr<MonitorClient> client;
  {
    const std::lock_guard lock(mutex_);
    dead_ = true;
    client = std::exchange(client_, nullptr);
  }
  client.reset();
  listener_.onDead();
}

absl::Status MonitorLink::gone() const {
  return absl::UnavailableError(
      strCat("the monitor of pod ", pod_, " is gone; stop and remove the pod"));
}

void MonitorLink::handle(const MonitorEvent& event, uint64_t connection) {
  if (event.kind == MonitorEvent::Kind::kConnectionLost) {
    noteBreak(connection);
  } else {
    listener_.onEvent(event);
  }
}

void MonitorLink::noteBreak(uint64_t connection) {
  {
    const std::lock_guard lock(mutex_);
    if (broken_ >= connection) return;
    broken_ = connection;
    // One that is still being made is known to its maker.
    if (connection != connected_ || ending_) return;
  }
  listener_.onBroken();
}

// What a call over `client` found before anything was heard of it: that its connection is broken.
void MonitorLink::giveUp(const MonitorClient& client) {
  uint64_t connection = 0;
  {
    const std::lock_guard lock(mutex_);
    if (client_.get() == &client) connection = connected_;
  }
  noteBreak(connection);
}

}  // namespace berth::runc
