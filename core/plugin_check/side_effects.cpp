#include "plugin_check/side_effects.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <ucontext.h>
#include <unistd.h>

#include <seccomp.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/descendants.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kMaxCalls = 64;
constexpr size_t kPathBytes = 120;

// Written by the signal's handler, which may not allocate.
struct SeenCall {
  int number;
  char path[kPathBytes];
};
std::array<SeenCall, kMaxCalls> seen;
std::atomic<size_t> seenCount;

// What these change lies outside of the process, whatever their arguments are.
constexpr const char* kCalls[] = {
    "mkdir",      "mkdirat", "mknod",       "mknodat",       "creat",        "unlink",
    "unlinkat",   "rmdir",   "rename",      "renameat",      "renameat2",    "link",
    "linkat",     "symlink", "symlinkat",   "truncate",      "chmod",        "fchmodat",
    "chown",      "lchown",  "fchownat",    "setxattr",      "lsetxattr",    "removexattr",
    "mount",      "umount2", "move_mount",  "mount_setattr", "setns",        "unshare",
    "pivot_root", "chroot",  "sethostname", "execve",        "execveat",     "fork",
    "vfork",      "kill",    "bind",        "init_module",   "delete_module"};

// A path is the first argument of calls that name one, or the second after a folder's descriptor.
// Numbers, for the handler may not ask for names.
std::array<int, 24> pathFirst, pathSecond;

bool has(const std::array<int, 24>& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

void keepPath(SeenCall& call, uintptr_t address) {
  const char* path = reinterpret_cast<const char*>(address);  // NOLINT: the caller's argument
  for (size_t i = 0; path != nullptr && i + 1 < kPathBytes && path[i] != '\0'; ++i)
    call.path[i] = path[i];
}

#if defined(__x86_64__)

uintptr_t argument(const ucontext_t& context, int index) {
  constexpr int kRegisters[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[kRegisters[index]]);
}
void setResult(ucontext_t& context, long result) {
  context.uc_mcontext.gregs[REG_RAX] = result;
}

#elif defined(__aarch64__)

uintptr_t argument(const ucontext_t& context, int index) {
  return context.uc_mcontext.regs[index];
}
void setResult(ucontext_t& context, long result) {
  context.uc_mcontext.regs[0] = static_cast<unsigned long long>(result);
}

#else

uintptr_t argument(const ucontext_t&, int) {
  return 0;
}
void setResult(ucontext_t&, long) {}

#endif

void onSystemCall(int, siginfo_t* info, void* data) {
  auto& context = *static_cast<ucontext_t*>(data);
  const int number = info->si_syscall;
  const size_t index = seenCount.fetch_add(1);
  if (index < kMaxCalls) {
    seen[index].number = number;
    if (has(pathFirst, number)) keepPath(seen[index], argument(context, 0));
    if (has(pathSecond, number)) keepPath(seen[index], argument(context, 1));
  }
  setResult(context, -EROFS);
}

template <size_t N>
void resolve(const char* const (&names)[N], std::array<int, 24>& numbers) {
  static_assert(N <= 24);
  numbers.fill(-1);
  for (size_t i = 0; i < N; ++i) numbers[i] = ::seccomp_syscall_resolve_name(names[i]);
}

int addRules(scmp_filter_ctx filter) {
  for (const char* name : kCalls) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number < 0) continue;
    if (const int failed = ::seccomp_rule_add(filter, SCMP_ACT_TRAP, number, 0); failed != 0)
      return failed;
  }
  // Opened for writing, or made.
  const std::pair<int, unsigned> opening[] = {{SCMP_SYS(open), 1}, {SCMP_SYS(openat), 2}};
  const scmp_datum_t flags[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC};
  for (const auto& [number, index] : opening) {
    for (const scmp_datum_t flag : flags) {
      const scmp_arg_cmp set{index, SCMP_CMP_MASKED_EQ, flag, flag};
      ::seccomp_rule_add_array(filter, SCMP_ACT_TRAP, number, 1, &set);
    }
  }
  // A new process or namespace; threads share the memory and the signal handlers.
  const scmp_arg_cmp process{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0};
  ::seccomp_rule_add_array(filter, SCMP_ACT_TRAP, SCMP_SYS(clone), 1, &process);
  return 0;
}

std::string describe(const SeenCall& call) {
  char* name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call.number);
  std::string text = strCat(name != nullptr ? name : "?", "(", call.path, ")");
  ::free(name);
  return text;
}

}  // namespace

absl::Status watchSystemCalls() {
#if !defined(__x86_64__) && !defined(__aarch64__)
  return absl::UnimplementedError("system calls cannot be watched on this machine");
#endif
  resolve(
      {"mkdir", "mknod", "creat", "unlink", "rmdir", "rename", "link", "symlink", "truncate",
       "chmod", "chown", "lchown", "setxattr", "lsetxattr", "mount", "umount2", "open", "execve"},
      pathFirst);
  resolve({"mkdirat", "mknodat", "unlinkat", "renameat", "renameat2", "linkat", "symlinkat",
           "fchmodat", "fchownat", "openat"},
          pathSecond);
  struct sigaction action {};
  action.sa_sigaction = &onSystemCall;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return support::errnoStatus(errno, "sigaction");
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return absl::InternalError("no filter of system calls is to be had");
  ::seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  int failed = addRules(filter);
  if (failed == 0) failed = ::seccomp_load(filter);
  ::seccomp_release(filter);
  if (failed != 0) return support::errnoStatus(-failed, "watch system calls");
  return absl::OkStatus();
}

std::vector<std::string> watchedCalls() {
  std::vector<std::string> calls;
  const size_t count = std::min(seenCount.load(), kMaxCalls);
  for (size_t i = 0; i < count; ++i) {
    std::string text = describe(seen[i]);
    if (std::find(calls.begin(), calls.end(), text) == calls.end())
      calls.push_back(std::move(text));
  }
  return calls;
}

Surroundings lookAround() {
  Surroundings now;
  if (const auto threads = support::listDirectory("/proc/self/task"); threads.ok())
    now.threads = threads->size();
  now.children = childrenOf(::getpid()).size();
  if (const auto open = support::listDirectory("/proc/self/fd"); open.ok()) {
    for (const std::string& number : *open) {
      char target[256] = {};
      const std::string link = strCat("/proc/self/fd/", number);
      // The one that the folder itself was read by is gone.
      if (::readlink(link.c_str(), target, sizeof target - 1) > 0)
        now.descriptors.push_back(strCat(number, " → ", target));
    }
  }
  if (auto mounts = support::readFile("/proc/self/mountinfo"); mounts.ok())
    now.mounts = *std::move(mounts);
  return now;
}

std::vector<std::string> Surroundings::differences(const Surroundings& later) const {
  std::vector<std::string> lines;
  if (later.threads > threads)
    lines.push_back(strCat("leaves ", later.threads - threads, " threads"));
  if (later.children > children)
    lines.push_back(strCat("leaves ", later.children - children, " child processes"));
  for (const std::string& one : later.descriptors) {
    if (std::find(descriptors.begin(), descriptors.end(), one) == descriptors.end())
      lines.push_back(strCat("leaves a descriptor open: ", one));
  }
  if (later.mounts != mounts) lines.push_back("leaves the mounts changed");
  return lines;
}

}  // namespace berth::check
