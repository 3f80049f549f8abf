// Messages about containers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "result.hpp"

namespace berth::runc::protocol {

// ---- containers --------------------------------------------------------------------------------

enum class StdinMode : uint8_t {
  kNone = 0,  // /dev/null
  kOpen = 1,  // a pipe that stays open over attach sessions
  kOnce = 2,  // a pipe that closes when the first attached stdin ends
};

enum class CgroupKind : uint8_t {
  kNone = 0,  // no OOM watch; kill of all and the clean-up of leftovers reach the init only
  kV1 = 1,    // cgroupDir is in the memory hierarchy
  kV2 = 2,
};

enum class StartMode : uint8_t {
  kRun = 0,              // `runtime run --detach`: one process
  kCreateThenStart = 1,  // `runtime create`, then `runtime start`
};

struct CreateContainerRequest {
  std::string containerId;
  std::string bundle;    // the OCI bundle's folder; config.json must be there when it is started
  std::string logPath;   // CRI log; empty discards
  uint8_t terminal = 0;  // must equal the spec's process.terminal
  StdinMode stdinMode = StdinMode::kNone;
  // The terminal's size at first; 0: as the runtime makes it. It is set when the runtime returns:
  // the spec's process.consoleSize is what a program sees that asks at once.
  uint16_t consoleWidth = 0;
  uint16_t consoleHeight = 0;
  CgroupKind cgroupKind = CgroupKind::kNone;
  std::string cgroupDir;  // the container's cgroup; the runtime makes it at the start
  StartMode startMode = StartMode::kRun;
  std::vector<std::string> createArgs;  // such as --no-pivot, --no-new-keyring
};
template <typename V>
void visit(V& v, CreateContainerRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.bundle);
  v.field(3, m.logPath);
  v.field(4, m.terminal);
  v.field(5, m.stdinMode);
  v.field(6, m.consoleWidth);
  v.field(7, m.consoleHeight);
  v.field(8, m.cgroupKind);
  v.field(9, m.cgroupDir);
  v.field(10, m.startMode);
  v.field(11, m.createArgs);
}

// For the requests that name a container only: start, delete, cancel a checkpoint.
struct ContainerRequest {
  std::string containerId;
};
template <typename V>
void visit(V& v, ContainerRequest& m) {
  v.field(1, m.containerId);
}

struct StartContainerReply {
  Result result;
  int32_t pid = 0;
  int64_t startedAt = 0;
};
template <typename V>
void visit(V& v, StartContainerReply& m) {
  v.field(1, m.result);
  v.field(2, m.pid);
  v.field(3, m.startedAt);
}

// Runs `runtime checkpoint ARGUMENTS… ID`.
struct CheckpointContainerRequest {
  std::string containerId;
  std::vector<std::string> arguments;  // such as --image-path, --leave-running
};
template <typename V>
void visit(V& v, CheckpointContainerRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.arguments);
}

// In place of a start: `runtime restore ARGUMENTS… ID`, with the container's bundle and streams.
// The reply is that of a start.
struct RestoreContainerRequest {
  std::string containerId;
  std::vector<std::string> arguments;  // such as --image-path
};
template <typename V>
void visit(V& v, RestoreContainerRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.arguments);
}

enum class KillScope : uint8_t {
  kProcess = 0,
  kAll = 1,  // container: every process of its cgroup; exec: its whole tree
};

struct KillContainerRequest {
  std::string containerId;
  int32_t signal = 0;
  KillScope scope = KillScope::kProcess;
};
template <typename V>
void visit(V& v, KillContainerRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.signal);
  v.field(3, m.scope);
}

enum class ContainerState : uint8_t {
  kCreated = 0,   // registered; the runtime knows nothing of it
  kStarting = 1,  // the runtime is at it
  kRunning = 2,
  kExited = 3,       // its exit record is on disk
  kStartFailed = 4,  // `error` says why; it can only be deleted
  kDeleting = 5,     // leftovers are being killed, or `runtime delete` runs
};

struct ContainerStatus {
  std::string containerId;
  ContainerState state = ContainerState::kCreated;
  int32_t pid = 0;  // of the init, while it runs
  int64_t startedAt = 0;
  int64_t finishedAt = 0;
  int32_t exitCode = 0;   // 128 + signal number when it was killed
  uint64_t oomKills = 0;  // processes of the container that the kernel killed for want of memory
  std::string error;      // kStartFailed
  uint64_t droppedLogBytes = 0;  // could not be written: disk full, or no log file
  uint32_t attached = 0;         // sessions
};
template <typename V>
void visit(V& v, ContainerStatus& m) {
  v.field(1, m.containerId);
  v.field(2, m.state);
  v.field(3, m.pid);
  v.field(4, m.startedAt);
  v.field(5, m.finishedAt);
  v.field(6, m.exitCode);
  v.field(7, m.oomKills);
  v.field(8, m.error);
  v.field(9, m.droppedLogBytes);
  v.field(10, m.attached);
}

}  // namespace berth::runc::protocol
