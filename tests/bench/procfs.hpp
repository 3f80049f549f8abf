// What /proc says about processes and sockets. Processes may end at any time: a process that has
// gone gives NOT_FOUND.
#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

namespace berth::bench {

// A process for good: pids are used again, but not within one clock tick.
struct ProcessId {
  pid_t pid = 0;
  uint64_t startTicks = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): sees the 0 with which the compiler compares.
  auto operator<=>(const ProcessId&) const = default;
};

struct ProcessStat {
  pid_t parent = 0;
  uint64_t startTicks = 0;
  uint64_t cpuTicks = 0;  // user and system, its own and of the children it has waited for
};

// The content of /proc/PID/stat. Its second field may hold spaces and brackets.
absl::StatusOr<ProcessStat> parseProcessStat(absl::string_view text);

// The number of KiB after "NAME:" at the start of a line, as in status and smaps.
absl::StatusOr<uint64_t> parseKibibytes(absl::string_view text, absl::string_view name);

// A mount point as /proc/self/mountinfo escapes it ("\040" for a space).
std::string unescapeMountPath(absl::string_view text);

absl::StatusOr<ProcessStat> readProcessStat(pid_t pid);
std::set<ProcessId> listProcesses();

// The files named in the content of a /proc/PID/maps or smaps.
std::set<std::string> mappedFiles(absl::string_view maps);

// The proportional set size in KiB from the content of a /proc/PID/smaps, but with all resident
// pages of the files in `observer`: what the observer of a process shares with it would make the
// process look smaller than it is.
absl::StatusOr<uint64_t> parseProportional(absl::string_view smaps,
                                           const std::set<std::string>& observer);

// That of a process, with this process as the observer.
absl::StatusOr<uint64_t> proportionalKibibytes(pid_t pid);

// The most memory resident at once since start or since the reset, in KiB.
absl::StatusOr<uint64_t> peakResidentKibibytes(pid_t pid);
absl::Status resetPeakResident(pid_t pid);

// Seconds of CPU time, including that of children it has waited for.
absl::StatusOr<double> cpuSeconds(pid_t pid);

// That of its own threads alone, ended ones too, to the nanosecond.
absl::StatusOr<double> ownCpuSeconds(pid_t pid);

// Bytes that it has had written to storage.
absl::StatusOr<uint64_t> bytesWritten(pid_t pid);

// The program's file name without its folder; empty for kernel threads and for what has gone.
std::string programName(pid_t pid);

// False for a process that has gone.
bool environmentHolds(pid_t pid, absl::string_view text);
bool commandLineHolds(pid_t pid, absl::string_view text);
bool cgroupHolds(pid_t pid, absl::string_view text);

// Whether `ancestor` is found going up the parents.
bool descendsFrom(pid_t pid, pid_t ancestor);

// Kills a process, unless it has gone or its pid is another's by now, and waits for its end for at
// most five seconds.
absl::Status killAndAwait(const ProcessId& process);

// The process that listens on a Unix socket, by its credentials.
absl::StatusOr<pid_t> listenerPid(const std::string& socket);

// Mount points at or below `directory`, in the order in which they were mounted.
absl::StatusOr<std::vector<std::string>> mountsBelow(const std::string& directory);

// Where the cgroup hierarchies are mounted: one for v2, one for each controller for v1.
absl::StatusOr<std::vector<std::string>> cgroupMounts();

}  // namespace berth::bench
