#include "exec_end.hpp"

#include <csignal>
#include <poll.h>
#include <set>

#include <absl/strings/numbers.h>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "pod_streams.hpp"

namespace berth::kata {

namespace {

// A process of this host with all that it has started. Each is stopped before children are looked
// for once more, so that none is missed. What lost its parent before is the container's.
void killTree(int64_t first) {
  constexpr size_t kParent = 4;  // of /proc/PID/stat
  std::set<uint64_t> tree;
  std::vector<uint64_t> found{static_cast<uint64_t>(first)};
  while (!found.empty()) {
    for (const uint64_t each : found) ::kill(static_cast<pid_t>(each), SIGSTOP);
    tree.insert(found.begin(), found.end());
    found.clear();
    const auto names = support::listDirectory("/proc");
    if (!names.ok()) break;
    for (const std::string& name : *names) {
      uint64_t pid = 0;
      if (!absl::SimpleAtoi(name, &pid) || tree.contains(pid)) continue;
      if (tree.contains(support::processStat(static_cast<int64_t>(pid), kParent))) {
        found.push_back(pid);
      }
    }
  }
  for (const uint64_t each : tree) ::kill(static_cast<pid_t>(each), SIGKILL);
}

}  // namespace

absl::Status endExec(Pod& pod, TaskClient& shim, const std::shared_ptr<Exec>& exec, bool mayRun,
                     const CallLimits& limits, const CallLimits& untilEnd) {
  support::StatusCollector failures;
  const auto tolerate = [&](const absl::Status& status) {
    if (!absl::IsNotFound(status) && !absl::IsUnavailable(status)) failures.add(status);
  };
  const auto end = [&](const CallLimits& patience) {
    return waitFor(exec->ended.get(), POLLIN, patience, "wait for the end of a killed process");
  };
  if (mayRun && !pod.exitCodeOf(*exec)) {
    // A shim kills the one process; where it is one of this host, its descendants go as well: who
    // they are can only be seen before.
    api::StateRequest ask;
    ask.set_id(exec->container);
    ask.set_exec_id(exec->id);
    const auto state = shim.ask<api::StateResponse>("State", ask, limits);
    if (absl::IsDeadlineExceeded(state.status())) return state.status();
    if (pod.record().namespaces && state.ok() && state->pid() > 1) killTree(state->pid());
    // One whose start was never asked for has no end: there is nothing to kill.
    if (!state.ok() || state->status() != containerd::v1::types::CREATED) {
      api::KillRequest kill;
      kill.set_id(exec->container);
      kill.set_exec_id(exec->id);
      // Not all: Kata's shim would take that for all of the container.
      kill.set_signal(SIGKILL);
      const absl::Status killed = shim.tell("Kill", kill, limits);
      tolerate(killed);
      if (killed.ok()) {
        // Of one whose start was cut off nobody has asked yet.
        pod.awaitExec(shim, exec);
        BERTH_RETURN_IF_ERROR(end(untilEnd));
      }
    }
  }
  api::DeleteRequest remove;
  remove.set_id(exec->container);
  remove.set_exec_id(exec->id);
  const absl::Status removed = shim.tell("Delete", remove, limits);
  // A start that has begun meanwhile may wait at its FIFOs for whoever takes over from a keeper:
  // without them it would wait for ever, and the pod's other starts with it.
  if (absl::IsDeadlineExceeded(removed)) return removed;
  tolerate(removed);
  // First: a keeper that takes over opens no streams of it from here on.
  pod.removeExec(*exec);
  failures.add(forgetStreams(pod, exec->key(), limits));
  return failures.status();
}

}  // namespace berth::kata
