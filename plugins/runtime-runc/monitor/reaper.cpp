#include "reaper.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "process.hpp"

namespace berth::runc::monitor {

int exitCodeOf(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

UnknownExits::Call UnknownExits::beginCall() {
  calls_.push_back(dropped_ + exits_.size());
  return calls_.back();
}

void UnknownExits::endCall(Call call) {
  calls_.erase(std::find(calls_.begin(), calls_.end(), call));
  const size_t unwanted = calls_.empty() ? exits_.size() : calls_.front() - dropped_;
  exits_.erase(exits_.begin(), exits_.begin() + static_cast<ptrdiff_t>(unwanted));
  dropped_ += unwanted;
}

void UnknownExits::add(const ChildExit& exit) {
  if (!calls_.empty()) exits_.push_back(exit);
}

const ChildExit* UnknownExits::find(pid_t pid) const {
  const auto found = std::find_if(exits_.rbegin(), exits_.rend(),
                                  [pid](const ChildExit& known) { return known.pid == pid; });
  return found == exits_.rend() ? nullptr : &*found;
}

Status Reaper::open() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  // A monitor belongs to no terminal and must not end with one; these stay pending for ever.
  sigset_t blocked = set;
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGHUP);
  sigaddset(&blocked, SIGPIPE);
  sigprocmask(SIG_SETMASK, &blocked, nullptr);
  signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_ || !loop_.add(signals_.get(), EPOLLIN, *this)) {
    return errnoFailure(errno, {"watch for signals"});
  }
  return {};
}

void Reaper::watch(pid_t pid, ChildWatcher& watcher) {
  watches_.push_back({pid, &watcher});
}

void Reaper::forget(pid_t pid) {
  std::erase_if(watches_, [pid](const Watch& watch) { return watch.pid == pid; });
}

Reaper::Adoption Reaper::adopt(pid_t pid, ChildWatcher& watcher, ChildExit& exit) {
  // Whether it is there (alive, or waiting to be reaped) comes first: the number may be that of an
  // earlier orphan as well.
  if (descendsFromSelf(pid)) {
    watch(pid, watcher);
    return Adoption::kAlive;
  }
  const ChildExit* found = unknown_.find(pid);
  if (found == nullptr) return Adoption::kForeign;
  exit = *found;
  return Adoption::kExited;
}

void Reaper::onReady(uint32_t) {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGTERM) terminate_ = true;
  }
  reap();
  if (afterSignals != nullptr) afterSignals(afterSignalsContext);
}

void Reaper::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    const int64_t now = realtimeNs();
    const auto found = std::find_if(watches_.begin(), watches_.end(),
                                    [pid](const Watch& watch) { return watch.pid == pid; });
    if (found == watches_.end()) {
      unknown_.add({pid, status, now});
      continue;
    }
    ChildWatcher* watcher = found->watcher;
    watches_.erase(found);
    watcher->onChildExit(pid, status, now);
  }
}

}  // namespace berth::runc::monitor
