#include "process.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/support/durable.hpp"
#include "files.hpp"

namespace berth::runc::monitor {

namespace {

// A tree that grows faster than it can be listed is cut off here; the kill of the container's
// cgroup gets the rest.
constexpr int kMaxStopRounds = 64;

void appendChildren(pid_t pid, std::vector<pid_t>& out) {
  const std::string tasks = concat({"/proc/", Number(pid), "/task"});
  DIR* directory = opendir(tasks.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const std::string path = concat({tasks, "/", entry->d_name, "/children"});
    const std::string content = readSmall(AT_FDCWD, path.c_str(), 1u << 20);
    std::string_view rest = content;
    for (std::string_view word = takeWord(rest); !word.empty(); word = takeWord(rest)) {
      uint64_t child = 0;
      if (parseNumber(word, child)) out.push_back(static_cast<pid_t>(child));
    }
  }
  closedir(directory);
}

bool contains(const std::vector<pid_t>& pids, pid_t pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

// Everything below the members of `tree` and in the session that is not in it yet.
std::vector<pid_t> findMore(const std::vector<pid_t>& tree, pid_t session,
                            const std::vector<pid_t>& candidates) {
  std::vector<pid_t> more;
  std::vector<pid_t> children;
  for (pid_t pid : tree) appendChildren(pid, children);
  for (pid_t pid : children) {
    if (!contains(tree, pid) && !contains(more, pid)) more.push_back(pid);
  }
  for (pid_t pid : candidates) {
    if (getsid(pid) == session && !contains(tree, pid) && !contains(more, pid)) more.push_back(pid);
  }
  return more;
}

// 0 when there is no such process.
pid_t parentOf(pid_t pid) {
  const std::string stat =
      readSmall(AT_FDCWD, concat({"/proc/", Number(pid), "/stat"}).c_str(), 4096);
  const size_t nameEnd = stat.rfind(')');
  if (nameEnd == std::string::npos) return 0;
  std::string_view rest = std::string_view(stat).substr(nameEnd + 1);
  takeWord(rest);  // state
  uint64_t parent = 0;
  return parseNumber(takeWord(rest), parent) ? static_cast<pid_t>(parent) : 0;
}

}  // namespace

bool descendsFromSelf(pid_t pid) {
  const pid_t self = getpid();
  // A parent that ends while it is looked at hands its children to another: look again.
  for (int attempt = 0; attempt < 16; ++attempt) {
    pid_t ancestor = parentOf(pid);
    if (ancestor == 0) return false;
    while (ancestor > 1 && ancestor != self) ancestor = parentOf(ancestor);
    if (ancestor == self) return true;
    if (ancestor == 1) return false;
  }
  return false;
}

int nullDevice() {
  static int fd = -1;
  // Where no descriptor was to be had, one may be the next time.
  if (fd < 0) fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  return fd;
}

namespace {

// For a child that shares the monitor's memory until it executes: system calls alone.
struct Start {
  const char* program;
  char* const* arguments;
  int descriptors[3];
  pid_t monitor;
  int error = 0;
};

[[noreturn]] void execute(Start& start) {
  // Ignored ones stay so over execve().
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // A runtime that went on after the monitor's death would make a container that nobody watches.
  // An execution that changes the security domain clears it (capabilities(7), "secure execution"):
  // what such a runtime makes is found in its cgroup when the pod is removed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == start.monitor && setsid() >= 0 && dup2(start.descriptors[0], 0) >= 0 &&
      dup2(start.descriptors[1], 1) >= 0 && dup2(start.descriptors[2], 2) >= 0) {
    execve(start.program, start.arguments, environ);
  }
  start.error = errno;
  _exit(127);
}

// Not part of its caller: what that keeps in registers is nothing the child may touch.
[[gnu::noinline]] pid_t startChild(Start& start) {
  // Its child makes system calls alone, in frames of its own.
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)
  const pid_t pid = vfork();
  if (pid == 0) execute(start);
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork)
  return pid;
}

}  // namespace

Status spawn(const std::string& program, const std::vector<std::string>& argv, const Stdio& stdio,
             pid_t& pid) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execve's signature
  }
  arguments.push_back(nullptr);

  const auto orNull = [](int fd) { return fd >= 0 ? fd : nullDevice(); };
  Start start{.program = program.c_str(),
              .arguments = arguments.data(),
              .descriptors = {orNull(stdio.in), orNull(stdio.out), orNull(stdio.err)},
              .monitor = getpid()};
  pid = startChild(start);
  if (pid < 0) start.error = errno;
  if (start.error != 0) {
    if (pid > 0) waitpid(pid, nullptr, 0);
    return errnoFailure(start.error, {"start the OCI runtime ", program});
  }
  support::durableStep("start process", "OCI runtime");
  return {};
}

void killTree(pid_t root, pid_t session, const std::vector<pid_t>& candidates) {
  std::vector<pid_t> tree = {root};
  kill(root, SIGSTOP);
  for (int round = 0; round < kMaxStopRounds; ++round) {
    const std::vector<pid_t> more = findMore(tree, session, candidates);
    if (more.empty()) break;
    for (pid_t pid : more) kill(pid, SIGSTOP);
    tree.insert(tree.end(), more.begin(), more.end());
  }
  // Leaves first: a parent that dies early hands its children to another reaper.
  for (auto pid = tree.rbegin(); pid != tree.rend(); ++pid) kill(*pid, SIGKILL);
}

}  // namespace berth::runc::monitor
