// The plugin's side of a pod's keeper.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "../keeper/protocol.hpp"
#include "../ttrpc/limits.hpp"
#include "berth/support/fd.hpp"

namespace berth::kata {

struct KeeperStart {
  std::string program;
  std::string pod;        // for those who look at the process list
  std::string directory;  // where its socket is to be
  std::string events;     // the socket for the shim's events
  std::string logFifo;
  std::string logFile;
  int oomScoreAdj = 0;
};

// Starts one that outlives this process; returns once it serves. OK when one does already. Either
// must speak a version that this build knows, as for checkVersion().
absl::Status startKeeper(const KeeperStart& start, const CallLimits& limits);

struct Streams {
  int input = -1;
  int output = -1;
  int error = -1;
};

// Calls, each over a connection of its own, so that none waits for another. Copyable; any thread.
// UNAVAILABLE when there is no keeper, or it ends before it has answered.
class KeeperClient {
 public:
  explicit KeeperClient(std::string directory) : directory_(std::move(directory)) {}

  // What it keeps. Before all else: FAILED_PRECONDITION when this build does not know the version
  // that it speaks; what it keeps must then be left alone. `pod` is for the message.
  absl::StatusOr<keeper::Reply> list(std::string_view pod, const CallLimits& limits) const;
  absl::Status checkVersion(std::string_view pod, const CallLimits& limits) const {
    return list(pod, limits).status();
  }
  absl::StatusOr<keeper::Reply> call(const keeper::Request& request, const CallLimits& limits,
                                     const Streams& streams = {}) const;
  // A connection for several calls, one after the other. It hangs up when this keeper ends, and is
  // of no use after a call that was cut off.
  absl::StatusOr<support::Fd> connect(const CallLimits& limits) const;
  static absl::StatusOr<keeper::Reply> ask(const support::Fd& connection,
                                           const keeper::Request& request, const CallLimits& limits,
                                           const Streams& streams = {});
  // A connection on which events come from now on.
  absl::StatusOr<support::Fd> subscribe(const CallLimits& limits) const;
  // The next event of such a connection, without waiting. NOT_FOUND when there is none now,
  // UNAVAILABLE when the keeper has gone.
  static absl::StatusOr<keeper::Reply> nextEvent(const support::Fd& subscription);
  // OK when there is none any more.
  absl::Status shutDown(const CallLimits& limits) const;
  // After UNAVAILABLE: kills one that has lost its socket, which nobody can get to any more.
  // Whether there was one.
  absl::StatusOr<bool> endUnreachable(const CallLimits& limits) const;

 private:
  absl::Status awaitEnd(const CallLimits& limits) const;

  std::string directory_;
};

}  // namespace berth::kata
