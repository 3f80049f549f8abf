#include "plugin_check/descendants.hpp"

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::check {

using support::strCat;

namespace {

void reap() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

std::string nameOf(pid_t pid) {
  auto name = support::readFile(strCat("/proc/", pid, "/comm"));
  if (!name.ok()) return strCat(pid);
  while (name->ends_with('\n')) name->pop_back();
  return strCat(pid, " (", *name, ")");
}

}  // namespace

std::vector<pid_t> childrenOf(pid_t parent) {
  std::vector<pid_t> children;
  const std::string tasks = strCat("/proc/", parent, "/task");
  const auto threads = support::listDirectory(tasks);
  if (!threads.ok()) return children;
  for (const std::string& thread : *threads) {
    const auto text = support::readFile(strCat(tasks, "/", thread, "/children"));
    if (!text.ok()) continue;
    std::istringstream words(*text);
    for (pid_t child = 0; words >> child;) children.push_back(child);
  }
  return children;
}

std::vector<std::string> endDescendants(std::chrono::milliseconds patience) {
  // Blocked, or the signal of a child that ends before it is waited for would be lost.
  sigset_t ended, before;
  ::sigemptyset(&ended);
  ::sigaddset(&ended, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &ended, &before);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  reap();
  while (!childrenOf(::getpid()).empty()) {
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(
        deadline - std::chrono::steady_clock::now());
    if (rest.count() <= 0) break;
    const timespec time{rest.count() / 1000000000, rest.count() % 1000000000};
    ::sigtimedwait(&ended, nullptr, &time);
    reap();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::vector<std::string> left;
  for (std::vector<pid_t> children = childrenOf(::getpid()); !children.empty();
       children = childrenOf(::getpid())) {
    for (const pid_t child : children) {
      left.push_back(nameOf(child));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }
  return left;
}

}  // namespace berth::check
