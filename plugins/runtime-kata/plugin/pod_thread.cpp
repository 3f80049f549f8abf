// The pod's own thread: what shim and keeper tell.
#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <utility>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "berth/support/utf8.hpp"
#include "exec_end.hpp"
#include "pod.hpp"
#include "pod_end.hpp"
#include "task_stats.hpp"

namespace berth::kata {

using support::strCat;

namespace {

constexpr auto kAskTime = std::chrono::seconds(2);
constexpr int kAskAgainMs = 1000;
constexpr int kKilledCode = 137;
constexpr int kUnknownCode = 255;  // also of what ran in a virtual machine that has ended

// Whether what ended so may have been ended with its sandbox.
bool mayBeOfLoss(int exitCode) {
  return exitCode == kKilledCode || exitCode == kUnknownCode;
}

}  // namespace

std::string exitMessageOf(const PodRecord& pod) {
  constexpr size_t kMaxLog = 2u << 20;
  constexpr size_t kMaxLine = 400;
  const auto log = support::readFile(pod.shimLog(), kMaxLog);
  if (!log.ok()) return {};
  std::string_view text = *log;
  while (text.ends_with('\n')) text.remove_suffix(1);
  return support::oneLine(text.substr(text.rfind('\n') + 1), kMaxLine);
}

std::string withExitMessage(const std::string& reason, const PodRecord& pod) {
  const std::string said = exitMessageOf(pod);
  return said.empty() ? reason : strCat(reason, "; its log ends: ", said);
}

absl::Status Pod::listen() {
  if (thread_.joinable()) return absl::OkStatus();
  tasksWake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!tasksWake_) return support::errnoStatus(errno, "make an eventfd for a pod");
  auto events = keeper().subscribe(limitsFor(kAskTime));
  if (absl::IsUnavailable(events.status())) {
    // It has died since it was started, and nobody has looked.
    BERTH_RETURN_IF_ERROR(ensureKeeper(limitsFor(kAskTime)));
    events = keeper().subscribe(limitsFor(kAskTime));
  }
  BERTH_RETURN_IF_ERROR(events.status());
  events_ = *std::move(events);
  BERTH_ASSIGN_OR_RETURN(thread_, support::startThread([this] { run(); }));
  return absl::OkStatus();
}

void Pod::close() {
  if (thread_.joinable()) {
    post({.kind = Task::Kind::kStop});
    thread_.join();
  }
  std::shared_ptr<TaskClient> shim;
  {
    const std::lock_guard lock(mutex_);
    shim.swap(shim_);
  }
  if (shim != nullptr) shim->close();
}

void Pod::post(Task task) {
  {
    const std::lock_guard lock(tasksMutex_);
    tasks_.push_back(std::move(task));
  }
  if (tasksWake_) (void)::eventfd_write(tasksWake_.get(), 1);
}

void Pod::run() {
  for (;;) {
    Task task{};
    bool found = false;
    {
      const std::lock_guard lock(tasksMutex_);
      if (!tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
        found = true;
      }
    }
    if (found) {
      if (!handle(task)) return;
      continue;
    }
    pollfd polled[2] = {{.fd = tasksWake_.get(), .events = POLLIN},
                        {.fd = events_.get(), .events = POLLIN}};
    const int ready = ::poll(polled, 2, pollPatience());
    if (ready < 0) continue;
    if (ready == 0 && breakUnsettled_) settleBreak();
    if (ready == 0 && keeperMissing_) {
      replaceKeeper();
    } else if (ready == 0 && unread_) {
      openRest();
    }
    // One at a time, and after all tasks.
    if (!leftExecs_.empty() && leftExecs_.begin()->first <= std::chrono::steady_clock::now())
      handleLeftExec(leftExecs_.extract(leftExecs_.begin()).mapped());
    eventfd_t count = 0;
    if (polled[0].revents != 0) (void)::eventfd_read(tasksWake_.get(), &count);
    if (polled[1].revents != 0) drainEvents();
  }
}

int Pod::pollPatience() const {
  if (breakUnsettled_ || keeperMissing_ || unread_) return kAskAgainMs;
  if (leftExecs_.empty()) return -1;
  const auto left = leftExecs_.begin()->first - std::chrono::steady_clock::now();
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::max<int64_t>(wait, 0));
}

bool Pod::handle(const Task& task) {
  switch (task.kind) {
    case Task::Kind::kStop:
      return false;
    case Task::Kind::kExit: {
      const std::string loss = lossBehind(task.exitCode);
      if (loss.empty() || !lose(loss, ownEnds()))
        settleExit(task.container, task.exitCode, task.exitedAt, {});
      break;
    }
    case Task::Kind::kSandboxExit:
      if (isEnding()) break;
      if (needsSandbox()) {
        (void)lose(sandboxLoss(), ownEnds());
      } else {
        warn("a pod goes on without its sandbox's process", absl::UnavailableError(sandboxLoss()));
      }
      break;
    case Task::Kind::kBroken:
      settleBreak();
      break;
    case Task::Kind::kUnsent:
      breakUnsettled_ = true;
      break;
    case Task::Kind::kUnread:
      unread_ = true;
      break;
    case Task::Kind::kLeftExec:
      leftExecs_.emplace(std::chrono::steady_clock::now(), task.left);
      break;
  }
  return true;
}

// What ends with a sandbox is told before it or after: the first process of a PID namespace waits
// for the others, which are killed, and a virtual machine's end is seen by each who waits for one.
std::string Pod::lossBehind(int exitCode) const {
  if (!mayBeOfLoss(exitCode) || !needsSandbox()) return {};
  if (isEnding() || !support::isProcessEnding(record().sandboxPid)) return {};
  const absl::Status told =
      support::waitFor(sandbox_.ended.get(), POLLIN, limitsFor(kAskTime), "wait for an end");
  return told.ok() ? sandboxLoss() : std::string();
}

// All that a process of this host holds for its pod's containers is their PID namespace, if they
// share one: the other namespaces are pinned. A node that is shut down asks it to end while
// containers take their time.
bool Pod::needsSandbox() const {
  const PodRecord record = this->record();
  return !record.namespaces || support::pathExists(record.namespacesDirectory() + "/pid");
}

std::string Pod::sandboxLoss() const {
  std::string reason = "the pod's sandbox has ended";
  {
    const std::lock_guard lock(mutex_);
    if (sandbox_.known) reason += strCat(", exit code ", sandbox_.exitCode);
  }
  return withExitMessage(reason, record());
}

// The event may come late: containerd's shim reads the kernel's notice beside the exit. A cgroup
// that systemd has not removed by then has its count until the task is deleted; the others the
// keeper watches.
bool Pod::countsMemoryKill(const std::string& container) {
  const CallLimits limits = limitsFor(kAskTime);
  const auto client = shim(limits);
  if (!client.ok()) return false;
  const auto found = askStats(**client, container, limits);
  return found.ok() && found->stats.oom_events > 0;
}

void Pod::endExecLater(const std::shared_ptr<Exec>& exec) {
  post({.kind = Task::Kind::kLeftExec, .left = {.exec = exec}});
}

void Pod::handleLeftExec(Task::Left left) {
  constexpr int kMostAttempts = 15;
  constexpr auto kPause = std::chrono::seconds(2);
  using Shim = Task::Left::Shim;
  if (isEnding() || isDead()) return;  // it ends with the pod
  if (left.shim == Shim::kUnasked) return askForLeftExec(left);
  if (left.shim == Shim::kAnswers) {
    const absl::Status ended = endLeftExec(left);
    if (ended.ok()) return;
    if (++left.attempts == kMostAttempts) {
      warn("a process that was given up stays until its container ends, or something of it", ended);
      return;
    }
  }
  left.shim = Shim::kUnasked;
  leftExecs_.emplace(std::chrono::steady_clock::now() + kPause, std::move(left));
}

void Pod::askForLeftExec(const Task::Left& left) {
  constexpr auto kSendTime = std::chrono::milliseconds(100);
  const auto tell = [this, left](const absl::Status& status) {
    Task task{.kind = Task::Kind::kLeftExec, .left = left};
    const bool silent = absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status);
    task.left.shim = silent ? Task::Left::Shim::kSilent : Task::Left::Shim::kAnswers;
    post(std::move(task));
  };
  // It may be what the shim waits for.
  (void)openStreamsOf(*left.exec, limitsFor(kSendTime));
  const CallLimits limits = limitsFor(kSendTime);
  const auto client = shim(limits);
  if (!client.ok()) return tell(client.status());
  api::StateRequest request;
  request.set_id(left.exec->container);
  request.set_exec_id(left.exec->id);
  (*client)->begin("State", request, limits, [tell](const auto& reply) { tell(reply.status()); });
}

absl::Status Pod::endLeftExec(const Task::Left& left) {
  // The shim has just answered; whatever else does not holds up what the thread has to hear.
  constexpr auto kTime = std::chrono::milliseconds(300);
  const CallLimits limits = limitsFor(kTime);
  BERTH_ASSIGN_OR_RETURN(const auto client, shim(limits));
  return endExec(*this, *client, left.exec, true, limits, limitsFor(std::chrono::milliseconds(0)));
}

// A connection can break while the shim goes on.
void Pod::settleBreak() {
  const bool isNew = !std::exchange(breakUnsettled_, false);
  if (isDead()) return;
  const CallLimits limits = limitsFor(kAskTime);
  const auto client = shim(limits);
  if (absl::IsUnavailable(client.status())) {
    // Whoever ends it waits for ends that nobody will tell.
    if (isEnding() || !lose(withExitMessage("the pod's shim has ended", record()))) declareDead();
    return;
  }
  if (client.ok()) return askAgain(**client);
  // Nobody would hear of exits.
  breakUnsettled_ = true;
  if (isNew)
    listener_.warn(id_, "a pod's shim cannot be reached; it is tried again", client.status());
}

void Pod::askAgain(TaskClient& shim) {
  awaitSandbox(shim);
  for (const auto& container : containers()) {
    if (recordOf(*container).stage == Stage::kRunning) awaitContainer(shim, container);
  }
}

// What ended by itself just before its sandbox did, the shim knows and may not have told yet.
Pod::Ends Pod::ownEnds() {
  constexpr auto kTime = std::chrono::milliseconds(500);
  Ends ends;
  const CallLimits limits = limitsFor(kTime);
  const auto client = shim(limits);
  if (!client.ok()) return ends;
  for (const auto& container : containers()) {
    const ContainerRecord record = recordOf(*container);
    if (isEnding() || record.stage != Stage::kRunning) continue;
    api::StateRequest request;
    request.set_id(record.id);
    const auto state = (*client)->ask<api::StateResponse>("State", request, limits);
    if (!state.ok() || state->status() != containerd::v1::types::STOPPED) continue;
    const int exitCode = static_cast<int>(state->exit_status());
    if (!mayBeOfLoss(exitCode)) ends[record.id] = {exitCode, nanosecondsOf(state->exited_at())};
  }
  return ends;
}

// Nothing tells of ends any more: all that may run is ended, then it is told.
bool Pod::lose(const std::string& message, const Ends& own) {
  constexpr auto kPause = std::chrono::milliseconds(5);
  std::unique_lock alone(end_, std::defer_lock);
  while (!alone.try_lock()) {
    if (isEnding()) return false;
    (void)support::pauseFor(kPause, support::CallLimits{}, "wait for another end");
  }
  {
    const std::lock_guard lock(mutex_);
    if (lost_) return true;
    lost_ = true;
  }
  constexpr auto kEndTime = std::chrono::milliseconds(3500);
  const absl::Status ended = endLostPod(*this, limitsFor(kEndTime));
  if (ended.ok()) {
    (void)changeRecord([](PodRecord& r) { r.stopped = true; });
  } else {
    listener_.warn(id_, "not everything of a lost pod could be ended", ended);
  }
  {
    const std::lock_guard lock(mutex_);
    lostMessage_ = message;
  }
  for (const auto& container : containers()) {
    if (const auto end = own.find(recordOf(*container).id); end != own.end())
      settleExit(container, end->second.exitCode, end->second.exitedAt, {});
    settleIfLost(container);
  }
  declareDead();
  listener_.onPodLost(id_, message);
  return true;
}

// One whose start was at work when the pod was lost says so when it has come to its end.
void Pod::settleIfLost(const std::shared_ptr<Container>& container) {
  std::string message;
  {
    const std::lock_guard lock(mutex_);
    if (lostMessage_.empty() || container->record.stage != Stage::kRunning) return;
    message = lostMessage_;
  }
  settleExit(container, kKilledCode, support::nowNanoseconds(), message);
}

}  // namespace berth::kata
