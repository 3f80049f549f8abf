// Talking to berth-monitor from the runtime plugin.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "../protocol/messages.hpp"
#include "berth/support/aside.hpp"
#include "berth/support/call_limits.hpp"

namespace berth::runc {

// When a call gives up. The request itself is not taken back: a start that was given up goes on in
// the monitor until it ends or killContainer(SIGKILL) aborts it.
using support::CallLimits;
using support::limitsFor;
using support::limitsOf;

// Runs `program start`: makes the pod's namespaces and leaves a monitor behind that outlives the
// caller. Blocks until the monitor serves its socket (some milliseconds). On an error nothing is
// left (INVALID_ARGUMENT for a refused sysctl, hostname or mapping, ALREADY_EXISTS when a monitor
// serves request.runDir or the pin exists). When the call was cut off by its limits the outcome is
// unknown: cleanUpMonitor() undoes it. Any thread.
absl::StatusOr<protocol::PodFacts> startMonitor(const std::string& program,
                                                const protocol::StartRequest& request,
                                                const CallLimits& limits = {});

// Removes what a monitor leaves that did not shut down: unmounts and removes the pin (may be
// empty), removes socket and lock of the run folder. FAILED_PRECONDITION while a monitor still
// serves the folder, or a start is still at work there. Exit records stay. Idempotent; blocking;
// any thread.
absl::Status cleanUpMonitor(const std::string& runDir, const std::string& netPin);

// Whether a monitor serves the run folder at this moment. Any thread.
bool monitorAlive(const std::string& runDir);

// Whether a monitor serves the run folder, or one is about to start or end there. An error says
// neither: a shortage proves no death. Any thread.
absl::StatusOr<bool> monitorHolds(const std::string& runDir);

// Whether nobody can get to a monitor, living or not: its socket is gone, or is none.
bool isUnreachable(const std::string& runDir);
// Where it is, for messages.
std::string monitorSocket(const std::string& runDir);

// Kills whoever holds the run folder.
void killMonitor(const std::string& runDir);

// The exit record that the monitor wrote before it told anyone; it is there even when the monitor
// is not. NOT_FOUND when the container has not exited (or was deleted). Any thread.
absl::StatusOr<protocol::ContainerStatus> readExitRecord(const std::string& runDir,
                                                         const std::string& containerId);
// All exit records of a run folder. Those that cannot be read are left out and put into `unread`.
absl::StatusOr<std::vector<protocol::ContainerStatus>> readExitRecords(
    const std::string& runDir, std::vector<support::DamagedFile>* unread = nullptr);

struct MonitorEvent {
  enum class Kind {
    kContainerExited,  // status
    kOomKilled,        // status.containerId and status.oomKills
    kConnectionLost,   // the monitor ended or hung up; the last event of this client
  };
  Kind kind{};
  std::string podId;
  protocol::ContainerStatus status;
};
// Called from the one reader thread that all clients of the process share, in the order in which
// the monitor sent the events. It must return soon and must not call its client's blocking
// functions or destroy the client; it may outlive nothing it captures beyond the client.
using EventHandler = std::function<void(const MonitorEvent&)>;

// Descriptors to pass along; -1 for none. They are borrowed: the monitor has duplicates once the
// call returns, so close yours. Those of attach and of a terminal exec become O_NONBLOCK (also for
// you: the flag belongs to the open file), so pass fresh pipes or socket pairs.
struct Streams {
  int standardInput = -1;
  int standardOutput = -1;
  int standardError = -1;
};

struct ExecOptions {
  std::string containerId;
  std::string execId;       // unique in the container
  std::string processJson;  // OCI runtime spec, "process"
  bool terminal = false;    // must equal processJson's
  // 0: as the runtime makes it. Set when the runtime returns; processJson's consoleSize is what a
  // program sees that asks at once.
  uint16_t consoleWidth = 0;
  uint16_t consoleHeight = 0;
  std::chrono::milliseconds timeout{0};  // then the whole tree is killed, by the monitor; 0: never
  protocol::OnDisconnect onDisconnect = protocol::OnDisconnect::kKeep;
};

// A connection to one pod's monitor. All functions may be called from any thread at the same time;
// each blocks for its reply, at most until the limits. UNAVAILABLE once the connection is lost:
// connect anew. Errors carry the monitor's own code and message; NOT_FOUND is an unknown
// container or exec.
class MonitorClient {
 public:
  // NOT_FOUND when nothing serves the run folder (no socket, or nobody behind it).
  // FAILED_PRECONDITION when no common protocol version exists. `handler` may be empty.
  static absl::StatusOr<std::unique_ptr<MonitorClient>> connect(const std::string& runDir,
                                                                EventHandler handler,
                                                                const CallLimits& limits = {});
  // Hangs up and waits for a handler that is running. Running containers are not affected.
  ~MonitorClient();
  MonitorClient(const MonitorClient&) = delete;
  MonitorClient& operator=(const MonitorClient&) = delete;

  const protocol::PodFacts& facts() const;
  uint32_t protocolVersion() const;

  // Registers the container and opens its log. Idempotent for an equal request while the container
  // has not been started; ALREADY_EXISTS else.
  absl::Status createContainer(const protocol::CreateContainerRequest& request,
                               const CallLimits& limits = {});
  // Runs the runtime. The error is the runtime's own text. Idempotent while it runs (returns the
  // same pid); joins a start that is at work; FAILED_PRECONDITION after an exit.
  absl::StatusOr<protocol::StartContainerReply> startContainer(const std::string& containerId,
                                                               const CallLimits& limits = {});
  // In place of startContainer(), with the same contract: `runtime restore` with these arguments.
  // UNIMPLEMENTED by a monitor that was started before an upgrade to a daemon that can do this.
  absl::StatusOr<protocol::StartContainerReply> restoreContainer(
      const protocol::RestoreContainerRequest& request, const CallLimits& limits = {});
  // Runs `runtime checkpoint` with the arguments. When the limits cut it off it goes on until
  // cancelCheckpoint(), or until this client hangs up. UNIMPLEMENTED as above.
  absl::Status checkpointContainer(const protocol::CheckpointContainerRequest& request,
                                   const CallLimits& limits = {});
  // Kills what is at work and returns when nothing is. The container goes on.
  absl::Status cancelCheckpoint(const std::string& containerId, const CallLimits& limits = {});
  // Sends a signal at once, without the runtime. OK for one that has exited. SIGKILL to one that
  // is starting aborts the start; other signals are FAILED_PRECONDITION then.
  absl::Status killContainer(const std::string& containerId, int signal, protocol::KillScope scope,
                             const CallLimits& limits = {});
  // Kills what is left in the container's cgroup, runs `runtime delete`, forgets the container and
  // its exit record. FAILED_PRECONDITION while the init runs. OK for an unknown one. A paused
  // (frozen) container must be resumed first. When the limits cut it off, the runtime is killed
  // (cancelDelete()), and the next call begins anew.
  absl::Status deleteContainer(const std::string& containerId, const CallLimits& limits = {});
  // Kills the runtime that deletes the container, also after a start that failed, and returns when
  // no removal is at work, after ten seconds at most. Who waits for one hears INTERNAL. OK for an
  // unknown container. Monitors started before an upgrade to a daemon that can do this let the
  // runtime go on.
  absl::Status cancelDelete(const std::string& containerId);

  // Starts a process in a running container; returns its pid once it runs. Without a terminal the
  // streams become its stdio themselves and the monitor copies nothing (none: /dev/null); with one
  // the monitor copies between terminal and streams, and closes them after the exit and the last
  // byte.
  absl::StatusOr<int32_t> exec(const ExecOptions& options, const Streams& streams,
                               const CallLimits& limits = {});
  // Blocks until the process has exited, then the monitor forgets it. When a terminal is used, the
  // last output may still be on its way in the stream: read that to its end.
  absl::StatusOr<protocol::ExecStatus> waitExec(const std::string& containerId,
                                                const std::string& execId,
                                                const CallLimits& limits = {});
  // OK when it has exited.
  absl::Status killExec(const std::string& containerId, const std::string& execId, int signal,
                        protocol::KillScope scope, const CallLimits& limits = {});

  // Adds a session to a running container: output goes to the streams from now on, input is
  // forwarded. The session ends when the container exits (after the last byte), or when its output
  // streams are closed by you. A session for which more than 64 KiB wait for 30 s is dropped; until
  // then the container's output waits for it.
  absl::Status attach(const std::string& containerId, const Streams& streams,
                      const CallLimits& limits = {});
  // Empty execId: the container's own. FAILED_PRECONDITION without a terminal.
  absl::Status resize(const std::string& containerId, const std::string& execId, uint16_t width,
                      uint16_t height, const CallLimits& limits = {});
  // Idempotent. For a terminal exec or a container with stdin.
  absl::Status closeStdin(const std::string& containerId, const std::string& execId,
                          const CallLimits& limits = {});
  // Opens the log's path anew (empty logPath: the same as before); no line is lost or split. On an
  // error the old file stays in use.
  absl::Status reopenLog(const std::string& containerId, const std::string& logPath,
                         const CallLimits& limits = {});

  struct Listing {
    std::vector<protocol::ContainerStatus> containers;
    std::vector<protocol::ExecStatus> execs;
  };
  absl::StatusOr<Listing> list(const CallLimits& limits = {});
  // From here on events come to the handler. The listing is the state just before the first of
  // them: none is lost, none is told twice.
  absl::StatusOr<Listing> subscribe(const CallLimits& limits = {});

  // Ends the monitor: FAILED_PRECONDITION while it has a container. Returns after it has unpinned
  // the network namespace and hung up; kConnectionLost is told as well.
  absl::Status shutdown(const CallLimits& limits = {});

 private:
  class Connection;
  explicit MonitorClient(std::shared_ptr<Connection> connection);
  std::shared_ptr<Connection> connection_;
};

}  // namespace berth::runc
