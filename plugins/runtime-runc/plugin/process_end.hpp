// What is known of processes by their numbers, and waiting for the end of those that were killed.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <sys/types.h>

#include <absl/status/statusor.h>

#include "monitor_client.hpp"

namespace berth::runc {

// Whether the first process of a PID namespace has ended but for its name: it runs nothing and
// holds nothing any more and waits for the others of its namespace to end and to be reaped
// (pid_namespaces(7)). Those whose parents are outside of it are reaped by those parents, after a
// monitor's death by the machine's init; when that does not reap, this lasts for ever, and its
// pidfd never tells of its end.
bool isUnreapedInit(pid_t pid);

enum class KilledEnd : uint8_t { kWhole, kUnreaped };

// Waits until a process that was sent SIGKILL has ended, as far as isUnreapedInit() says at least,
// or `gone` (asked now and then) says so. CANCELLED or DEADLINE_EXCEEDED ("<doing>: …") at the
// limits. Blocks; any thread.
absl::StatusOr<KilledEnd> awaitKilled(
    pid_t pid, int pidfd, const CallLimits& limits, std::string_view doing,
    const std::function<bool()>& gone = [] { return false; });

}  // namespace berth::runc
