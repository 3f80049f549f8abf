#include "container.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../protocol/exit_record.hpp"
#include "berth/support/steps.hpp"
#include "files.hpp"

namespace berth::runc::monitor {

using protocol::ContainerState;
using protocol::KillScope;

Container::Container(Context& context, ContainerOwner& owner, protocol::CreateContainerRequest spec)
    : context_(context),
      owner_(owner),
      spec_(std::move(spec)),
      hub_(context.loop, *this),
      oom_(context.loop, *this) {}

Container::~Container() {
  if (state_ == ContainerState::kRunning) context_.reaper.forget(pid_);
}

protocol::ContainerStatus Container::status() const {
  protocol::ContainerStatus status;
  status.containerId = spec_.containerId;
  status.state = state_;
  status.pid = state_ == ContainerState::kRunning ? pid_ : 0;
  status.startedAt = startedAt_;
  status.finishedAt = finishedAt_;
  status.exitCode = exitCode_;
  status.oomKills = oomKills_;
  status.error = startError_.message;
  status.droppedLogBytes = log_.droppedBytes();
  status.attached = static_cast<uint32_t>(hub_.sessions());
  return status;
}

bool Container::sameSpec(const protocol::CreateContainerRequest& other) const {
  return state_ == ContainerState::kCreated &&
         protocol::encodeFrame({}, spec_) == protocol::encodeFrame({}, other);
}

void Container::setState(ContainerState state) {
  state_ = state;
  context_.outlet->stateChanged();
}

// ---- start -------------------------------------------------------------------------------------

void Container::answerStart(const ReplyTo& to) const {
  answer(context_, to, protocol::StartContainerReply{{}, pid_, startedAt_});
}

StartOperation* Container::beginStart(const ReplyTo& to) {
  switch (state_) {
    case ContainerState::kRunning:
      answerStart(to);
      return nullptr;
    case ContainerState::kStarting:
      startWaiters_.push_back(to);
      return nullptr;
    case ContainerState::kCreated:
      startWaiters_.push_back(to);
      setState(ContainerState::kStarting);
      starting_ = std::make_unique<StartOperation>(context_, spec_, *this, *this);
      return starting_.get();
    default:
      answerStatus(context_, to,
                   failure(Code::kFailedPrecondition,
                           {"start container ", id(),
                            ": it was started before; remove it and make it anew"}));
      return nullptr;
  }
}

void Container::start(const ReplyTo& to) {
  if (StartOperation* operation = beginStart(to)) operation->begin();
}

void Container::restore(std::vector<std::string> arguments, const ReplyTo& to) {
  if (StartOperation* operation = beginStart(to)) operation->restore(std::move(arguments));
}

void Container::openStreams(StartedContainer& started) {
  if (started.terminal) {
    terminal_ = std::move(started.terminal);
    if (spec_.stdinMode != protocol::StdinMode::kNone) {
      started.in.reset(fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 0));
    }
    started.out.reset(fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 0));
  }
  if (started.in) {
    hub_.openInput(std::move(started.in), spec_.stdinMode == protocol::StdinMode::kOnce
                                              ? InputEnd::kWithFirstSession
                                              : InputEnd::kStays);
  }
  hub_.openOutput(LogStream::Kind::kStdout, std::move(started.out), &log_);
  if (started.err) hub_.openOutput(LogStream::Kind::kStderr, std::move(started.err), &log_);
}

void Container::watchMemory() {
  const Cgroup own = cgroup();
  if (own.kind == protocol::CgroupKind::kNone) return;
  const bool isV1 = own.kind == protocol::CgroupKind::kV1;
  oom_.start(isV1 ? CgroupVersion::kV1 : CgroupVersion::kV2, own.directory);
}

void Container::onStarted(StartedContainer started) {
  context_.loop.bury(std::move(starting_));
  pid_ = started.pid;
  startedAt_ = started.at;
  openStreams(started);
  watchMemory();
  setState(ContainerState::kRunning);
  for (const ReplyTo& to : startWaiters_) answerStart(to);
  startWaiters_.clear();
}

void Container::onStartFailed(Status status) {
  context_.loop.bury(std::move(starting_));
  startError_ = std::move(status);
  setState(ContainerState::kStartFailed);
  for (const ReplyTo& to : startWaiters_) answerStatus(context_, to, startError_);
  startWaiters_.clear();
  answerCancellers();
}

// ---- checkpoint --------------------------------------------------------------------------------

Status Container::checkpoint(protocol::CheckpointContainerRequest request, const ReplyTo& to) {
  if (state_ != ContainerState::kRunning) {
    return failure(Code::kFailedPrecondition,
                   {"checkpoint container ", id(), ": it is not running"});
  }
  if (checkpoint_) {
    return failure(Code::kFailedPrecondition,
                   {"checkpoint container ", id(), ": another checkpoint of it is at work"});
  }
  checkpoint_ = std::make_unique<Checkpoint>(context_, *this, std::move(request), to);
  Status status = checkpoint_->begin();
  if (!isOk(status)) context_.loop.bury(std::move(checkpoint_));
  return status;
}

void Container::cancelCheckpoint(const ReplyTo& to) {
  if (!checkpoint_) return answerStatus(context_, to, {});
  checkpoint_->cancel(to);
}

void Container::onCheckpointDone() {
  context_.loop.bury(std::move(checkpoint_));
}

// What reads the container's processes must not see them go.
void Container::endCheckpoint() {
  if (!checkpoint_) return;
  checkpoint_->abandon();
  context_.loop.bury(std::move(checkpoint_));
}

// ---- exit --------------------------------------------------------------------------------------

void Container::onChildExit(pid_t, int status, int64_t at) {
  exitCode_ = exitCodeOf(status);
  finishedAt_ = at;
  // What a dying container wrote and what killed it are known before anyone hears of the exit.
  oom_.checkAtExit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  oom_.stop();
  hub_.drain();
  terminal_.reset();
  state_ = ContainerState::kExited;
  recordExit();
  context_.outlet->stateChanged();
  context_.outlet->tellSubscribers(protocol::encodeFrame(
      {protocol::Type::kContainerExited, 0, 0}, protocol::ContainerExitedEvent{this->status()}));
  // Who sees the end of a session finds the exit.
  hub_.endSessions();
}

void Container::recordExit() {
  const Status written = replaceSmall(context_.runDir.get(), protocol::exitRecordName(id()),
                                      protocol::formatExitRecord(status()));
  if (!isOk(written)) context_.logError(written);
}

void Container::onOomKills(uint64_t total) {
  oomKills_ = total;
  context_.outlet->tellSubscribers(protocol::encodeFrame({protocol::Type::kOomKilled, 0, 0},
                                                         protocol::OomKilledEvent{id(), total}));
}

// ---- kill, remove ------------------------------------------------------------------------------

Status Container::signal(int number, KillScope scope) {
  if (number <= 0 || number > SIGRTMAX) {
    return failure(Code::kInvalidArgument, {"signal ", Number(number), " does not exist"});
  }
  switch (state_) {
    case ContainerState::kExited:
    case ContainerState::kDeleting:
    case ContainerState::kStartFailed:
      return {};
    case ContainerState::kStarting:
      if (number == SIGKILL) {
        starting_->abort();
        return {};
      }
      [[fallthrough]];
    case ContainerState::kCreated:
      return failure(
          Code::kFailedPrecondition,
          {"send signal ", Number(number), " to container ", id(), ": it is not running",
           state_ == ContainerState::kStarting ? " yet; only SIGKILL aborts a start" : ""});
    case ContainerState::kRunning:
      break;
  }
  // Some signals are counted by those who get them, but SIGKILL is not: the first process gets it
  // in any case, also when the cgroup has more processes than can be held at once.
  const bool inCgroup = scope == KillScope::kAll && spec_.cgroupKind != protocol::CgroupKind::kNone;
  // An unreaped child's number cannot belong to anyone else.
  if ((!inCgroup || number == SIGKILL) && kill(pid_, number) != 0) {
    return errnoFailure(errno, {"send signal ", Number(number), " to container ", id()});
  }
  if (scope == KillScope::kAll) signalCgroup(cgroup(), number);
  return {};
}

void Container::remove(const ReplyTo& to) {
  switch (state_) {
    case ContainerState::kStarting:
    case ContainerState::kRunning:
      return answerStatus(context_, to,
                          failure(Code::kFailedPrecondition,
                                  {"delete container ", id(),
                                   ": it is running; kill it and wait for its exit first"}));
    case ContainerState::kDeleting:
      removeWaiters_.push_back(to);
      return;
    case ContainerState::kCreated:
      removeWaiters_.push_back(to);
      return drop();
    default:
      break;
  }
  removeWaiters_.push_back(to);
  endCheckpoint();
  beforeRemoval_ = state_;
  setState(ContainerState::kDeleting);
  if (!removal_) removal_ = std::make_unique<Removal>(context_, spec_, *this);
  removal_->start();
}

void Container::onRemoved(Status status) {
  if (isOk(status)) return drop();
  setState(beforeRemoval_);
  for (const ReplyTo& to : removeWaiters_) answerStatus(context_, to, status);
  removeWaiters_.clear();
  answerCancellers();
}

void Container::cancelRemoval(const ReplyTo& to) {
  if (state_ == ContainerState::kDeleting) {
    removal_->abort();
  } else if (!starting_ || !starting_->abortUndo()) {
    return answerStatus(context_, to, {});
  }
  removeCancellers_.push_back(to);
}

void Container::answerCancellers() {
  for (const ReplyTo& to : removeCancellers_) answerStatus(context_, to, {});
  removeCancellers_.clear();
}

void Container::drop() {
  hub_.drain();  // what killed leftovers have still written
  for (const auto& exec : execs_) exec->containerGone();
  support::steps::unlinkat(context_.runDir.get(), protocol::exitRecordName(id()).c_str(), 0);
  answerCancellers();
  const std::vector<ReplyTo> waiters = std::move(removeWaiters_);
  Context& context = context_;
  owner_.onContainerDone(*this);
  context.outlet->stateChanged();
  for (const ReplyTo& to : waiters) answerStatus(context, to, {});
}

// ---- exec --------------------------------------------------------------------------------------

Exec* Container::findExec(const std::string& execId) {
  const auto found = std::find_if(execs_.begin(), execs_.end(),
                                  [&execId](const auto& exec) { return exec->id() == execId; });
  return found == execs_.end() ? nullptr : found->get();
}

Status Container::exec(protocol::ExecRequest request, Fd* fds, const ReplyTo& to) {
  if (state_ != ContainerState::kRunning) {
    return failure(Code::kFailedPrecondition,
                   {"exec ", request.execId, " in container ", id(), ": it is not running"});
  }
  if (findExec(request.execId) != nullptr) {
    return failure(Code::kAlreadyExists,
                   {"exec ", request.execId, " in container ", id(), " exists already"});
  }
  auto exec = std::make_unique<Exec>(context_, *this, std::move(request), to);
  Status status = exec->begin(fds);
  if (isOk(status)) {
    execs_.push_back(std::move(exec));
  } else {
    context_.loop.bury(std::move(exec));
  }
  return status;
}

void Container::onExecDone(Exec& exec) {
  const auto found = std::find_if(execs_.begin(), execs_.end(),
                                  [&exec](const auto& each) { return each.get() == &exec; });
  if (found == execs_.end()) return;
  context_.loop.bury(std::move(*found));
  execs_.erase(found);
}

void Container::onDisconnect(uint64_t connection) {
  if (checkpoint_) checkpoint_->onDisconnect(connection);
  // An exec may leave the list while it hears of it.
  for (size_t i = execs_.size(); i-- > 0;) {
    if (i < execs_.size()) execs_[i]->onDisconnect(connection);
  }
}

// ---- streams and log ---------------------------------------------------------------------------

Status Container::attach(Fd in, Fd out, Fd err) {
  if (state_ != ContainerState::kRunning) {
    return failure(Code::kFailedPrecondition,
                   {"attach to container ", id(), ": it is not running"});
  }
  if (terminal_) err.reset();  // a terminal has one output
  hub_.attach(std::move(in), std::move(out), std::move(err));
  return {};
}

Status Container::resize(uint16_t width, uint16_t height) {
  if (spec_.terminal == 0) {
    return failure(Code::kFailedPrecondition, {"resize container ", id(), ": it has no terminal"});
  }
  if (starting_ || state_ == ContainerState::kCreated) {
    spec_.consoleWidth = width;
    spec_.consoleHeight = height;
  }
  if (terminal_) setTerminalSize(terminal_.get(), width, height);
  return {};
}

Status Container::closeInput() {
  if (spec_.stdinMode == protocol::StdinMode::kNone) {
    return failure(Code::kFailedPrecondition, {"close stdin of container ", id(), ": it has none"});
  }
  hub_.closeInput();
  return {};
}

Status Container::reopenLog(const std::string& path) {
  return log_.open(path.empty() ? log_.path() : path);
}

}  // namespace berth::runc::monitor
