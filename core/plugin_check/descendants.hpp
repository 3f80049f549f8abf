// The processes below this one.
#pragma once

#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

namespace berth::check {

// The living children of a process.
std::vector<pid_t> childrenOf(pid_t parent);

// Waits until none are left, for that time at most; then kills and reaps those that are, and
// returns them, "PID (NAME)". This process must be their subreaper. Those that end meanwhile are
// reaped.
std::vector<std::string> endDescendants(std::chrono::milliseconds patience);

}  // namespace berth::check
