#include "pod_init.hpp"

#include <csignal>
#include <cstdint>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::runc::monitor {

void runPodInit(int readyFd) {
  prctl(PR_SET_NAME, "berth-pod-init");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // The monitor may have died before the death signal was asked for: the helper, which reads this,
  // finds out.
  const char ready = 1;
  if (write(readyFd, &ready, 1) != 1) _exit(1);
  // The monitor's lock and sockets must not live on in here.
  syscall(SYS_close_range, 3u, ~0u, 0u);
  for (;;) {
    const int signal = sigwaitinfo(&all, nullptr);
    if (signal == SIGTERM || signal == SIGINT) _exit(0);
    if (signal != SIGCHLD) continue;
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace berth::runc::monitor
