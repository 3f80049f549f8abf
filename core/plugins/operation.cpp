#include "plugins/operation.hpp"

#include <algorithm>
#include <set>
#include <sys/eventfd.h>

#include "berth/plugin.hpp"
#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "berth/support/utf8.hpp"
#include "plugins/taking.hpp"

namespace berth::plugins {

namespace {

int64_t monotonicNanoseconds(Operation::Clock::time_point time) {
  if (time == Operation::Clock::time_point::max()) return INT64_MAX;
  // libstdc++'s steady_clock is CLOCK_MONOTONIC.
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

constexpr size_t kMostStages = 64;

int64_t nanoseconds(Operation::Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

// Of all operations. Never destroyed: detached threads may outlive static objects.
struct Roll {
  std::mutex mutex;
  std::set<const Operation*> operations;
};

Roll& roll() {
  static Roll* const instance = new Roll;
  return *instance;
}

}  // namespace

Operation::Operation(std::string name, Clock::time_point deadline)
    : name_(std::move(name)),
      deadline_(deadline),
      cancelFd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      op_{.size = sizeof(berth_op),
          .host = this,
          .deadline = monotonicNanoseconds(deadline),
          .cancel_fd = cancelFd_.get(),
          .cancelled = [](const berth_op* op) -> int32_t { return self(op).cancelled() ? 1 : 0; },
          .stage =
              [](const berth_op* op, berth_str stage) {
                detail::guard(nullptr, [&]() -> Status {
                  self(op).setStage(takenText(stage));
                  return {};
                });
              },
          .progress =
              [](const berth_op* op, uint64_t done, uint64_t total) {
                Operation& operation = self(op);
                std::lock_guard lock(operation.mutex_);
                operation.progress_ = {done, total};
              }} {
  if (observer() != nullptr) timeline_.caller = common::callerTrace();
  std::lock_guard lock(roll().mutex);
  roll().operations.insert(this);
}

Operation::~Operation() {
  {
    std::lock_guard lock(roll().mutex);
    roll().operations.erase(this);
  }
  // Without memory for it nobody hears of the operation.
  if (Observer* const hears = observer()) {
    support::returnThrown([&] {
      tell(*hears);
      return absl::OkStatus();
    }).IgnoreError();
  }
}

void Operation::tell(Observer& hears) {
  const auto now = Clock::now();
  endStage(now);
  timeline_.operation = name_;
  timeline_.duration = nanoseconds(now - begun_);
  timeline_.begin = support::nowNanoseconds() - timeline_.duration;
  hears.onOperation(std::move(timeline_));
}

void Operation::endStage(Clock::time_point now) {
  int64_t begin = 0;
  if (!timeline_.stages.empty())
    begin = timeline_.stages.back().begin + timeline_.stages.back().duration;
  const int64_t duration = nanoseconds(now - begun_) - begin;
  // What goes through its stages over and over has no more of them than anyone would read.
  const bool again = !timeline_.stages.empty() && (timeline_.stages.back().name == stage_ ||
                                                   timeline_.stages.size() >= kMostStages);
  if (again) {
    timeline_.stages.back().duration += duration;
  } else {
    timeline_.stages.push_back({stage_, begin, duration});
  }
}

void Operation::cancel() {
  {
    std::lock_guard lock(mutex_);
    if (!cancelled_) cancelled_ = Clock::now();
  }
  ::eventfd_write(cancelFd_.get(), 1);
}

absl::Status Operation::cancellable() const {
  if (cancelFd_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      support::strCat(name_, ": no descriptor was to be had to cancel it by"));
}

bool Operation::cancelled() const {
  return overSince().has_value();
}

std::optional<Operation::Clock::time_point> Operation::overSince() const {
  std::lock_guard lock(mutex_);
  if (Clock::now() < deadline_) return cancelled_;
  return std::min(deadline_, cancelled_.value_or(deadline_));
}

absl::Status Operation::check() const {
  std::lock_guard lock(mutex_);
  if (cancelled_)
    return absl::CancelledError(support::strCat(name_, ": cancelled while: ", stage_));
  if (Clock::now() >= deadline_) {
    return absl::DeadlineExceededError(
        support::strCat(name_, ": the deadline passed while: ", stage_));
  }
  return absl::OkStatus();
}

void Operation::setStage(std::string_view stage) {
  std::lock_guard lock(mutex_);
  if (observer() != nullptr) endStage(Clock::now());
  stage_ = support::validUtf8(stage);
}

void Operation::about(const std::string& pod, const std::string& container) {
  std::lock_guard lock(mutex_);
  auto& subjects = timeline_.subjects;
  for (const std::string& id : {pod, container}) {
    if (!id.empty() && std::find(subjects.begin(), subjects.end(), id) == subjects.end())
      subjects.push_back(id);
  }
}

void Operation::setResult(const absl::Status& status) {
  std::lock_guard lock(mutex_);
  constexpr auto kMode = absl::StatusToStringMode::kWithNoExtraData;
  timeline_.error =
      status.ok() ? "" : support::validUtf8(support::fromAbsl(status.ToString(kMode)));
}

std::string Operation::stage() const {
  std::lock_guard lock(mutex_);
  return stage_;
}

void Operation::becomeSession() {
  std::lock_guard lock(mutex_);
  session_ = true;
}

bool Operation::isSession() const {
  std::lock_guard lock(mutex_);
  return session_;
}

Operation::Progress Operation::progress() const {
  std::lock_guard lock(mutex_);
  return progress_;
}

std::string operationKind(const std::string& name) {
  const bool call = !name.empty() && name[0] >= 'A' && name[0] <= 'Z';
  return call ? name.substr(0, name.find(' ')) : "other";
}

std::vector<RunningOperation> runningOperations() {
  std::vector<RunningOperation> running;
  {
    std::lock_guard lock(roll().mutex);
    const auto now = Operation::Clock::now();
    for (const Operation* one : roll().operations)
      running.push_back({one->name(), one->stage(),
                         std::chrono::duration_cast<std::chrono::milliseconds>(now - one->begun()),
                         one->progress(), one->isSession()});
  }
  std::stable_sort(running.begin(), running.end(),
                   [](const auto& left, const auto& right) { return left.age > right.age; });
  return running;
}

}  // namespace berth::plugins
