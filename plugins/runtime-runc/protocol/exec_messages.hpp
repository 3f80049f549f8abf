// Messages about exec, streams, logs and listings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "container_messages.hpp"

namespace berth::runc::protocol {

// ---- exec --------------------------------------------------------------------------------------

// Which descriptors come with the frame, in this order.
enum DescriptorMask : uint8_t { kStdin = 1, kStdout = 2, kStderr = 4 };

enum class OnDisconnect : uint8_t {
  kKeep = 0,  // the process runs on when the client that started it is gone
  kKill = 1,  // its whole tree is killed
};

struct ExecRequest {
  std::string containerId;
  std::string execId;       // unique in the container
  std::string processPath;  // process.json; the monitor removes it once the runtime has read it
  uint8_t terminal = 0;     // must equal process.json's
  uint16_t consoleWidth = 0;
  uint16_t consoleHeight = 0;
  uint64_t timeoutMs = 0;  // then the whole tree is killed; 0: never
  OnDisconnect onDisconnect = OnDisconnect::kKeep;
  uint8_t descriptors = 0;  // DescriptorMask
};
template <typename V>
void visit(V& v, ExecRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.execId);
  v.field(3, m.processPath);
  v.field(4, m.terminal);
  v.field(5, m.consoleWidth);
  v.field(6, m.consoleHeight);
  v.field(7, m.timeoutMs);
  v.field(8, m.onDisconnect);
  v.field(9, m.descriptors);
}

struct ExecReply {
  Result result;
  int32_t pid = 0;
};
template <typename V>
void visit(V& v, ExecReply& m) {
  v.field(1, m.result);
  v.field(2, m.pid);
}

enum class ExecState : uint8_t { kStarting = 0, kRunning = 1, kExited = 2 };

struct ExecStatus {
  std::string containerId;
  std::string execId;
  ExecState state = ExecState::kStarting;
  int32_t pid = 0;
  int32_t exitCode = 0;
  uint8_t timedOut = 0;  // killed because timeoutMs had passed
  int64_t finishedAt = 0;
};
template <typename V>
void visit(V& v, ExecStatus& m) {
  v.field(1, m.containerId);
  v.field(2, m.execId);
  v.field(3, m.state);
  v.field(4, m.pid);
  v.field(5, m.exitCode);
  v.field(6, m.timedOut);
  v.field(7, m.finishedAt);
}

// For the requests that name an exec: wait, close stdin (an empty execId means the container).
struct ExecIdRequest {
  std::string containerId;
  std::string execId;
};
template <typename V>
void visit(V& v, ExecIdRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.execId);
}

struct WaitExecReply {
  Result result;
  ExecStatus status;
};
template <typename V>
void visit(V& v, WaitExecReply& m) {
  v.field(1, m.result);
  v.field(2, m.status);
}

struct KillExecRequest {
  std::string containerId;
  std::string execId;
  int32_t signal = 0;
  KillScope scope = KillScope::kProcess;
};
template <typename V>
void visit(V& v, KillExecRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.execId);
  v.field(3, m.signal);
  v.field(4, m.scope);
}

// ---- streams and logs --------------------------------------------------------------------------

struct AttachRequest {
  std::string containerId;
  uint8_t descriptors = 0;  // DescriptorMask
};
template <typename V>
void visit(V& v, AttachRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.descriptors);
}

struct ResizeRequest {
  std::string containerId;
  std::string execId;  // empty: the container's own terminal
  uint16_t width = 0;
  uint16_t height = 0;
};
template <typename V>
void visit(V& v, ResizeRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.execId);
  v.field(3, m.width);
  v.field(4, m.height);
}

struct ReopenLogRequest {
  std::string containerId;
  std::string logPath;  // empty: the same path as before
};
template <typename V>
void visit(V& v, ReopenLogRequest& m) {
  v.field(1, m.containerId);
  v.field(2, m.logPath);
}

// ---- what there is -----------------------------------------------------------------------------

// The reply to list and to subscribe. Longer lists come in several frames.
struct ListReply {
  Result result;
  std::vector<ContainerStatus> containers;
  std::vector<ExecStatus> execs;
};
template <typename V>
void visit(V& v, ListReply& m) {
  v.field(1, m.result);
  v.field(2, m.containers);
  v.field(3, m.execs);
}

struct OomKilledEvent {
  std::string containerId;
  uint64_t oomKills = 0;  // so far
};
template <typename V>
void visit(V& v, OomKilledEvent& m) {
  v.field(1, m.containerId);
  v.field(2, m.oomKills);
}

struct ContainerExitedEvent {
  ContainerStatus status;
};
template <typename V>
void visit(V& v, ContainerExitedEvent& m) {
  v.field(1, m.status);
}

}  // namespace berth::runc::protocol
