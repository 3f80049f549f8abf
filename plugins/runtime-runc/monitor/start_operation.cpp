#include "start_operation.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include "berth/support/steps.hpp"
#include "cgroup_move.hpp"

namespace berth::runc::monitor {

using protocol::StartMode;
using protocol::StdinMode;

StartOperation::StartOperation(Context& context, const protocol::CreateContainerRequest& spec,
                               StartListener& listener, ChildWatcher& initWatcher)
    : context_(context),
      spec_(spec),
      listener_(listener),
      initWatcher_(initWatcher),
      call_(context, *this),
      removal_(context, spec, *this),
      pidFile_(context) {}

StartOperation::~StartOperation() {
  if (adopted_) context_.reaper.forget(started_.pid);
}

std::string StartOperation::logPath() const {
  return concat({spec_.bundle, "/runtime.log"});
}

void StartOperation::begin() {
  step_ = spec_.startMode == StartMode::kRun ? Step::kRun : Step::kCreate;
  if (Status status = runRuntime(); !isOk(status)) fail(std::move(status));
}

void StartOperation::restore(std::vector<std::string> arguments) {
  step_ = Step::kRestore;
  restoreArguments_ = std::move(arguments);
  if (Status status = runRuntime(); !isOk(status)) fail(std::move(status));
}

std::string StartOperation::doing() const {
  return concat({step_ == Step::kRestore ? "restore" : "start", " container ", spec_.containerId});
}

std::vector<std::string> StartOperation::commandArguments() const {
  switch (step_) {
    case Step::kRun:
      return {"run", "--detach"};
    case Step::kRestore:
      return {"restore", "--detach"};
    default:
      return {"create"};
  }
}

Status StartOperation::openPipes(Stdio& childs) {
  struct {
    Fd& read;
    Fd& write;
  } const pipes[] = {{started_.out, childOut_}, {started_.err, childErr_}, {childIn_, started_.in}};
  const size_t count = spec_.stdinMode == StdinMode::kNone ? 2 : 3;
  for (size_t i = 0; i < count; ++i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      return errnoFailure(errno, {"make the pipes of container ", spec_.containerId});
    }
    pipes[i].read.reset(ends[0]);
    pipes[i].write.reset(ends[1]);
  }
  childs = {childIn_.get(), childOut_.get(), childErr_.get()};
  return {};
}

Status StartOperation::openStdio(Stdio& childs) {
  if (spec_.terminal == 0) return openPipes(childs);
  console_ = std::make_unique<ConsoleSocket>(context_);
  return console_->open();
}

Status StartOperation::runRuntime() {
  Stdio childs;
  if (Status status = openStdio(childs); !isOk(status)) return status;
  // An error of an earlier attempt must not be taken for one of this.
  support::steps::unlink(logPath().c_str());

  std::vector<std::string> arguments = commandArguments();
  for (const std::string& argument :
       {std::string("--bundle"), spec_.bundle, std::string("--pid-file"), pidFile_.path()}) {
    arguments.push_back(argument);
  }
  if (console_) {
    arguments.emplace_back("--console-socket");
    arguments.push_back(console_->path());
  }
  const std::vector<std::string>& further =
      step_ == Step::kRestore ? restoreArguments_ : spec_.createArgs;
  arguments.insert(arguments.end(), further.begin(), further.end());
  arguments.push_back(spec_.containerId);

  prepareCgroupMove();
  Status status = call_.start(doing(), logPath(), arguments, childs, started_.err.get());
  childIn_.reset();
  childOut_.reset();
  childErr_.reset();
  return status;
}

void StartOperation::abort() {
  if (aborted_ || step_ == Step::kUndo) return;
  aborted_ = true;
  call_.abort();
}

bool StartOperation::abortUndo() {
  if (step_ != Step::kUndo) return false;
  removal_.abort();
  return true;
}

void StartOperation::onRuntimeDone(Status status) {
  if (isOk(status) && step_ != Step::kStart) {
    status = adoptInit();
  } else if (aborted_ && !adopted_) {
    // The abort may have come when the init was already on its own: it must not be lost.
    static_cast<void>(adoptInit());
  }
  if (isOk(status) && step_ == Step::kCreate) {
    step_ = Step::kStart;
    status = runStart();
    if (isOk(status)) return;
  }
  if (!isOk(status)) return fail(std::move(status));
  finish();
}

Status StartOperation::adoptInit() {
  started_.pid = pidFile_.pid();
  if (started_.pid == 0) {
    return failure(Code::kInternal, {doing(), ": the OCI runtime ", context_.config.runtimePath,
                                     " wrote no pid file"});
  }
  switch (context_.reaper.adopt(started_.pid, *this, earlyExit_)) {
    case Reaper::Adoption::kAlive:
      adopted_ = true;
      break;
    case Reaper::Adoption::kExited:
      break;
    case Reaper::Adoption::kForeign:
      return failure(
          Code::kInternal,
          {doing(), ": its process ", Number(started_.pid),
           " did not come to the monitor; the OCI runtime must leave it to its subreaper"});
  }
  return console_ ? console_->take(started_.terminal) : Status{};
}

Status StartOperation::runStart() {
  return call_.start(doing(), logPath(), {"start", spec_.containerId}, {});
}

void StartOperation::finish() {
  console_.reset();
  // A short process may have ended while the OCI runtime was still at work.
  started_.at = earlyExit_.pid != 0 ? earlyExit_.at : realtimeNs();
  if (started_.terminal) {
    setTerminalSize(started_.terminal.get(), spec_.consoleWidth, spec_.consoleHeight);
  }
  const pid_t pid = started_.pid;
  if (adopted_) {
    context_.reaper.forget(pid);
    context_.reaper.watch(pid, initWatcher_);
    adopted_ = false;
  }
  const ChildExit exit = earlyExit_;
  ChildWatcher& watcher = initWatcher_;
  listener_.onStarted(std::move(started_));
  if (exit.pid != 0) watcher.onChildExit(exit.pid, exit.status, exit.at);
}

void StartOperation::fail(Status status) {
  step_ = Step::kUndo;
  failure_ = std::move(status);
  console_.reset();
  if (adopted_) {
    // The removal needs a dead init; onChildExit() goes on.
    kill(started_.pid, SIGKILL);
    return;
  }
  removal_.start();
}

void StartOperation::onChildExit(pid_t pid, int status, int64_t at) {
  adopted_ = false;
  earlyExit_ = {pid, status, at};
  if (step_ == Step::kUndo) removal_.start();
}

void StartOperation::onRemoved(Status status) {
  if (!isOk(status)) {
    failure_.message = concat({failure_.message, "; and then: ", status.message});
  }
  listener_.onStartFailed(std::move(failure_));
}

}  // namespace berth::runc::monitor
