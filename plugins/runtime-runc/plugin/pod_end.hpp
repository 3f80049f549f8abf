// Ending pods: killing their processes and giving back what they held, with their monitor or, when
// it is dead, without.
#pragma once

#include <chrono>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "cgroup_layout.hpp"
#include "monitor_client.hpp"
#include "owned_cgroups.hpp"
#include "pod.hpp"

namespace berth::runc {

// What ending needs to know beyond the pod.
struct EndContext {
  const Host& host;
  const CgroupLayout& layout;
  OwnedCgroups& ownedCgroups;
  std::string podLinks;
  const Op* op = nullptr;  // of the call that it is done for; none when nobody waits

  void stage(std::string_view name) const {
    if (op != nullptr) op->stage(name);
  }
};

// How long a monitor is asked to pass a signal on; SIGKILL then goes to the cgroup without it. It
// may be held by what is to end: a process that splices into its output from what says nothing has
// the pipe's lock until then, and a monitor that reads waits for that.
constexpr std::chrono::seconds kMonitorTime{5};

// Kills every process of every container at once and waits for the exits. DEADLINE_EXCEEDED, long
// before a late deadline, when the kernel holds one. Idempotent.
absl::Status killPod(const EndContext& context, Pod& pod, const CallLimits& limits);

// Kills what the container runs and waits for its exit; likewise.
absl::Status killContainer(const EndContext& context, Pod& pod,
                           const std::shared_ptr<Container>& container, const CallLimits& limits);

// Whether the container is starting or runs: OK when it does not any more and will not, also
// because the monitor is dead. A start that has not come to the monitor yet finds no container. The
// rest of it goes with its removal. Idempotent.
absl::Status abortStart(Pod& pod, const std::string& container, const CallLimits& limits);

// Kills and removes one container: from the monitor, the runtime, the cgroups, the records.
// Idempotent; runs every step and joins the failures.
absl::Status removeContainer(const EndContext& context, Pod& pod,
                             const std::shared_ptr<Container>& container, const CallLimits& limits);

// Removes all containers and everything else of the pod. Idempotent; likewise.
absl::Status removePod(const EndContext& context, Pod& pod, const CallLimits& limits);

}  // namespace berth::runc
