// PID 1 of a PID namespace that the containers of a pod share.
#pragma once

namespace berth::runc::monitor {

// Reaps what comes to it until SIGKILL, or until the monitor is gone. `readyFd` gets an int once it
// is bound to the monitor's life and confined: it has no capabilities, nothing of the host's file
// systems, descriptors or environment, and makes no other system calls. 0, or the errno with which
// that failed. Never returns.
[[noreturn]] void runPodInit(int readyFd);

}  // namespace berth::runc::monitor
