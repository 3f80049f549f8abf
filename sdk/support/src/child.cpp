#include "child.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The sanitizers' hooks and their record of the stack belong to the parent's thread. Calls go
// through syscall(2), which they do not intercept.
#if defined(__clang__)
#define BERTH_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined"))) static
#else
#define BERTH_IN_CHILD                                                           \
  __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize_undefined, \
                 optimize("no-stack-protector"))) static
#endif

namespace berth::support {
namespace {

constexpr size_t kSignalSetBytes = 8;
constexpr int kLastSignal = 64;
constexpr int kExecFailed = 127;

BERTH_IN_CHILD void giveUp(const ChildPlan* plan, ChildStage stage, int detail) {
  plan->report->error = errno;
  plan->report->stage = stage;
  plan->report->detail = detail;
  for (;;) ::syscall(SYS_exit_group, kExecFailed);
}

// Also the ignored ones: execve() resets handlers only, and a daemon ignores SIGPIPE.
BERTH_IN_CHILD void resetDispositions() {
  // Large enough for the kernel's struct sigaction on each architecture; all zero is SIG_DFL.
  static constexpr unsigned long kDefault[8] = {};
  for (int number = 1; number <= kLastSignal; ++number)
    if (number != SIGKILL && number != SIGSTOP)
      ::syscall(SYS_rt_sigaction, number, kDefault, nullptr, kSignalSetBytes);
}

// First everything is marked to close, then copies are made above all targets, then each copy is
// put where it belongs: so sources and targets may overlap in any way.
BERTH_IN_CHILD void arrangeDescriptors(const ChildPlan* plan) {
  if (::syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    giveUp(plan, ChildStage::kDescriptors, -1);
  for (size_t i = 0; i < plan->descriptorCount; ++i) {
    Descriptor& descriptor = plan->descriptors[i];
    descriptor.copy =
        static_cast<int>(::syscall(SYS_fcntl, descriptor.ours, F_DUPFD_CLOEXEC, plan->firstFree));
    if (descriptor.copy < 0) giveUp(plan, ChildStage::kDescriptors, descriptor.ours);
  }
  for (size_t i = 0; i < plan->descriptorCount; ++i) {
    const Descriptor& descriptor = plan->descriptors[i];
    if (::syscall(SYS_dup3, descriptor.copy, descriptor.theirs, 0) < 0)
      giveUp(plan, ChildStage::kDescriptors, descriptor.ours);
  }
}

BERTH_IN_CHILD int childMain(void* argument) {
  const ChildPlan* plan = static_cast<const ChildPlan*>(argument);
  resetDispositions();
  if (plan->newSession && ::syscall(SYS_setsid) < 0) giveUp(plan, ChildStage::kSession, -1);
  if (plan->endsWith != 0) {
    if (::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
      giveUp(plan, ChildStage::kLife, -1);
    // It may have ended before.
    if (::syscall(SYS_getppid) != plan->endsWith) giveUp(plan, ChildStage::kLife, -1);
  }
  for (size_t i = 0; i < plan->namespaceCount; ++i)
    if (::syscall(SYS_setns, plan->namespaces[i], 0) != 0)
      giveUp(plan, ChildStage::kNamespace, plan->namespaces[i]);
  // After the namespaces: joining a mount namespace moves to its root.
  if (plan->directory != nullptr && ::syscall(SYS_chdir, plan->directory) != 0)
    giveUp(plan, ChildStage::kDirectory, -1);
  arrangeDescriptors(plan);
  // Last: descriptors above it were still to be moved.
  if (plan->openFiles != nullptr)
    ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan->openFiles, nullptr);
  const uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kSignalSetBytes);
  ::syscall(SYS_execve, plan->program, plan->arguments, plan->environment);
  giveUp(plan, ChildStage::kExecute, -1);
  return kExecFailed;
}

}  // namespace

__attribute__((no_sanitize("address", "thread", "undefined"))) int runChild(void* plan) {
  return childMain(plan);
}

void exchangeSignalMask(uint64_t mask, uint64_t* old) {
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, old, kSignalSetBytes);
}

}  // namespace berth::support
