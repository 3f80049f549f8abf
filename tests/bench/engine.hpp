// An engine under measurement: one that runs already, or one that the bench starts and stops.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <sys/types.h>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/process.hpp"
#include "cri_client.hpp"
#include "interrupt.hpp"
#include "options.hpp"
#include "peers.hpp"
#include "workspace.hpp"

namespace berth::bench {

using Clock = std::chrono::steady_clock;

inline double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// How long a start took, from just before the fork.
struct StartTimes {
  Clock::duration untilVersion{};
  Clock::duration untilList{};  // ListPodSandbox answered
};

class Engine {
 public:
  // Connects to, or configures and starts, an engine; returns once it is ready for pods with
  // networks. `index` tells the engines of a run apart.
  static absl::StatusOr<std::unique_ptr<Engine>> create(const EngineSpec& spec, int index,
                                                        const Options& options,
                                                        Workspace& workspace, Interrupt& interrupt);
  // Removes the run's pods and stops the daemon if it is the bench's own.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const std::string& name() const { return spec_.name; }
  const std::string& handler() const { return spec_.handler; }
  bool owned() const { return spec_.kind != EngineKind::kAttached; }
  // Engine and version as it gives them.
  const std::string& description() const { return description_; }
  // Ends when the interrupt is raised. Invalid after start() and stop().
  CriClient& client() { return *client_; }
  // For clean-up: carries on after an interrupt.
  CriClient& cleaner() { return *cleaner_; }
  pid_t daemonPid() const { return pid_; }

  // A pod that is not to be mistaken for any other of this run.
  PodSpec podSpec(PodNetwork network);

  // Owned engines only. stop() sends the signal and waits for the daemon's end; start() returns
  // once ListPodSandbox is served.
  absl::Status stop(int signal);
  absl::StatusOr<StartTimes> start();

  // Stops and removes all pods of this run, with all their containers; tries each and reports all
  // failures. Works after an interrupt.
  absl::Status removePods();

 private:
  Engine(EngineSpec spec, int index, const Options& options, Workspace& workspace,
         Interrupt& interrupt);
  absl::Status attach();
  absl::Status configure();
  absl::Status awaitReady();
  absl::Status awaitSocket(Clock::time_point deadline);
  absl::Status checkAlive() const;
  void connect();
  void noteShimSockets();
  std::string logTail() const;

  EngineSpec spec_;
  int index_;
  const Options& options_;
  Workspace& workspace_;
  Interrupt& interrupt_;
  PeerLayout layout_;
  std::string socket_;
  std::string description_;
  std::unique_ptr<CriClient> client_;
  std::unique_ptr<CriClient> cleaner_;
  support::Process process_;
  pid_t pid_ = -1;
  std::atomic<int> pods_ = 0;
};

}  // namespace berth::bench
