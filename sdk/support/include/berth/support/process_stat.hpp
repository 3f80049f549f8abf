// What the kernel tells of a process by its number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace berth::support {

// A field of /proc/PID/stat as proc(5) counts them, from the third on; 0 when there is no such
// process. Thread-safe; reads a file of /proc.
uint64_t processStat(int64_t pid, size_t field);

// When the process was started, in the kernel's ticks since its boot, which tells it from a later
// one of the same number; 0 when there is none.
uint64_t processStart(int64_t pid);

// Whether it has ended or nothing can keep it from that any more. Of a PID namespace's first
// process this is so before the others are killed for it.
bool isProcessEnding(int64_t pid);

// The path in the unified hierarchy that the text of a /proc/PID/cgroup tells (cgroups(7)); empty
// when it tells none.
std::string unifiedCgroupIn(std::string_view text);

}  // namespace berth::support
