// PID 1 of a PID namespace that the containers of a pod share.
#pragma once

namespace berth::runc::monitor {

// Reaps what comes to it until SIGTERM or SIGKILL, or until the monitor is gone. `readyFd` gets a
// byte once it is bound to the monitor's life. Never returns.
[[noreturn]] void runPodInit(int readyFd);

}  // namespace berth::runc::monitor
