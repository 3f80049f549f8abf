// Moves between cgroups, made ahead of an OCI runtime.
#pragma once

#include <sys/types.h>

namespace berth::runc::monitor {

// Whoever moves a process to another cgroup waits for an RCU grace period first, unless another
// move was made a moment ago (Linux, kernel/cgroup/cgroup.c: cgroup_attach_lock(); kernel/rcu/
// sync.c), and that is a large part of what a runtime takes for `run` and `exec`. A child that
// moves itself to where it is waits for it while the runtime starts.
//
// Returns at once. The child, whose pid it is (-1: none), is left to the caller's reaper; its exit
// code is 0 when it has moved. Otherwise nothing is lost but time.
pid_t prepareCgroupMove();

}  // namespace berth::runc::monitor
