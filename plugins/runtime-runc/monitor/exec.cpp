#include "exec.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include "berth/support/steps.hpp"
#include "cgroup_move.hpp"

namespace berth::runc::monitor {

using protocol::ExecState;
using protocol::KillScope;

namespace {
constexpr int64_t kNsPerMs = 1'000'000;
}

Exec::Exec(Context& context, ExecOwner& owner, protocol::ExecRequest request,
           const ReplyTo& starter)
    : context_(context),
      owner_(owner),
      request_(std::move(request)),
      starter_(starter),
      call_(context, *this),
      pidFile_(context),
      // Who does not read its output, a suspended client's terminal, keeps only itself waiting.
      hub_(context.loop, *this, kNeverStuck),
      deadline_(*this) {
  status_.containerId = request_.containerId;
  status_.execId = request_.execId;
  log_ = concat({context.config.runDir, "/operation-", Number(context.nextSerial()), ".log"});
}

Exec::~Exec() {
  context_.loop.disarm(deadline_);
  if (status_.state == ExecState::kRunning) context_.reaper.forget(status_.pid);
  support::steps::unlink(log_.c_str());
  support::steps::unlink(request_.processPath.c_str());
}

Status Exec::begin(Fd* fds) {
  in_ = std::move(fds[0]);
  out_ = std::move(fds[1]);
  err_ = std::move(fds[2]);

  std::vector<std::string> arguments = {"exec",          "--detach",  "--pid-file",
                                        pidFile_.path(), "--process", request_.processPath};
  Stdio stdio{in_.get(), out_.get(), err_.get()};
  if (terminal()) {
    console_ = std::make_unique<ConsoleSocket>(context_);
    if (Status status = console_->open(); !isOk(status)) return status;
    arguments.emplace_back("--console-socket");
    arguments.push_back(console_->path());
    stdio = {};
  } else if (!err_) {
    // Else the runtime's stderr, and with it the process's, would be the file for error texts.
    stdio.err = nullDevice();
  }
  arguments.push_back(request_.containerId);

  prepareCgroupMove();
  Status status =
      call_.start(concat({"exec ", request_.execId, " in container ", request_.containerId}), log_,
                  arguments, stdio);
  if (!isOk(status)) return status;
  if (!terminal()) {
    // The process has them; our copies would keep its readers from seeing the end.
    in_.reset();
    out_.reset();
    err_.reset();
  }
  if (request_.timeoutMs != 0) {
    context_.loop.arm(deadline_, static_cast<int64_t>(request_.timeoutMs) * kNsPerMs);
  }
  return {};
}

void Exec::onRuntimeDone(Status status) {
  support::steps::unlink(request_.processPath.c_str());
  if (isOk(status)) status = adopt();
  if (!isOk(status)) failStart(std::move(status));
}

Status Exec::adopt() {
  const pid_t pid = pidFile_.pid();
  ChildExit exit;
  const Reaper::Adoption adoption =
      pid == 0 ? Reaper::Adoption::kForeign : context_.reaper.adopt(pid, *this, exit);
  if (adoption == Reaper::Adoption::kForeign) {
    return failure(Code::kInternal,
                   {"exec ", request_.execId, " in container ", request_.containerId,
                    ": the OCI runtime left no process to its subreaper"});
  }
  session_ = getsid(pid);
  if (console_) {
    if (Status status = console_->take(terminal_); !isOk(status)) {
      if (adoption == Reaper::Adoption::kAlive) {
        context_.reaper.forget(pid);
        killTree(pid, session_, cgroupProcesses(owner_.cgroup()));
      }
      return status;
    }
    console_.reset();
    setTerminalSize(terminal_.get(), request_.consoleWidth, request_.consoleHeight);
    hub_.openInput(Fd(fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 0)), InputEnd::kStays);
    hub_.openOutput(LogStream::Kind::kStdout, Fd(fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 0)),
                    nullptr);
    // A terminal has one output.
    err_.reset();
    hub_.attach(std::move(in_), std::move(out_), Fd());
  }
  status_.pid = pid;
  status_.state = ExecState::kRunning;
  answer(context_, starter_, protocol::ExecReply{{}, pid});
  if (adoption == Reaper::Adoption::kExited) onChildExit(exit.pid, exit.status, exit.at);
  return {};
}

void Exec::failStart(Status status) {
  if (status_.timedOut != 0) {
    status = failure(Code::kDeadlineExceeded,
                     {"exec ", request_.execId, " in container ", request_.containerId,
                      ": not started in ", Number(request_.timeoutMs), " ms"});
  }
  answer(context_, starter_, protocol::ExecReply{status, 0});
  for (const ReplyTo& waiter : waiters_)
    answer(context_, waiter, protocol::WaitExecReply{status, {}});
  waiters_.clear();
  done_ = true;
  owner_.onExecDone(*this);
}

void Exec::onChildExit(pid_t, int status, int64_t at) {
  context_.loop.disarm(deadline_);
  status_.state = ExecState::kExited;
  status_.exitCode = exitCodeOf(status);
  status_.finishedAt = at;
  hub_.drain();
  terminal_.reset();
  for (const ReplyTo& waiter : waiters_) tellExit(waiter);
  waiters_.clear();
  hub_.endSessions();
  doneIfUnwanted();
}

void Exec::tellExit(const ReplyTo& to) {
  protocol::WaitExecReply reply;
  reply.status = status_;
  answer(context_, to, reply);
  toldExit_ = true;
}

void Exec::wait(const ReplyTo& to) {
  if (status_.state != ExecState::kExited) {
    waiters_.push_back(to);
    return;
  }
  tellExit(to);
  doneIfUnwanted();
}

// It has exited, nobody needs to hear of it any more, and its last output is delivered.
void Exec::doneIfUnwanted() {
  if (done_ || status_.state != ExecState::kExited || hub_.sessions() > 0) return;
  if (!toldExit_ && !ownerGone_) return;
  done_ = true;
  owner_.onExecDone(*this);
}

void Exec::onSessionsGone() {
  doneIfUnwanted();
}

void Exec::onDisconnect(uint64_t connection) {
  if (connection != starter_.connection) return;
  ownerGone_ = true;
  if (request_.onDisconnect == protocol::OnDisconnect::kKill) killAll();
  doneIfUnwanted();
}

void Exec::containerGone() {
  if (status_.state == ExecState::kExited) return;
  const Status status = failure(Code::kNotFound, {"exec ", request_.execId, ": container ",
                                                  request_.containerId, " is gone"});
  if (status_.state == ExecState::kStarting) {
    answer(context_, starter_, protocol::ExecReply{status, 0});
  }
  for (const ReplyTo& waiter : waiters_)
    answer(context_, waiter, protocol::WaitExecReply{status, {}});
  waiters_.clear();
}

void Exec::onTimeout() {
  status_.timedOut = 1;
  killAll();
}

void Exec::killAll() {
  if (status_.state == ExecState::kStarting) {
    call_.abort();
  } else if (status_.state == ExecState::kRunning) {
    killTree(status_.pid, session_, cgroupProcesses(owner_.cgroup()));
  }
}

Status Exec::signal(int number, KillScope scope) {
  if (status_.state == ExecState::kExited) return {};
  if (number == SIGKILL && (scope == KillScope::kAll || status_.state == ExecState::kStarting)) {
    killAll();
    return {};
  }
  if (status_.state == ExecState::kStarting) {
    return failure(Code::kFailedPrecondition,
                   {"exec ", request_.execId, " is still starting: only SIGKILL reaches it"});
  }
  if (kill(status_.pid, number) != 0) {
    return errnoFailure(errno, {"send signal ", Number(number), " to exec ", request_.execId});
  }
  if (scope == KillScope::kAll) {
    for (pid_t pid : cgroupProcesses(owner_.cgroup())) {
      if (pid != status_.pid && getsid(pid) == session_) kill(pid, number);
    }
  }
  return {};
}

Status Exec::resize(uint16_t width, uint16_t height) {
  if (!terminal()) {
    return failure(Code::kFailedPrecondition, {"exec ", request_.execId, " has no terminal"});
  }
  request_.consoleWidth = width;
  request_.consoleHeight = height;
  if (terminal_) setTerminalSize(terminal_.get(), width, height);
  return {};
}

}  // namespace berth::runc::monitor
