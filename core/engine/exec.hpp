// Commands that are added to running containers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "engine/spec/process.hpp"
#include "plugins/operation.hpp"
#include "plugins/runtime.hpp"

namespace berth::engine {

// The process's ends of its standard streams, borrowed; -1: not wanted.
struct StandardStreams {
  int input = -1;
  int output = -1;
  int error = -1;
};

// A terminal's size in characters; zeroes: as the runtime makes it.
struct WindowSize {
  uint16_t columns = 0;
  uint16_t rows = 0;
};

struct ExecOptions {
  std::vector<std::string> command;
  spec::Terminal terminal = spec::Terminal::kNo;
  WindowSize size;
  // With a terminal `error` is not used: the terminal has one output.
  StandardStreams streams;
};

// A process that its runtime knows under an id of its own. It must be waited for, once, or its
// runtime keeps what it knows of it. All functions block, and may be called from any thread.
class ExecProcess {
 public:
  ExecProcess(std::shared_ptr<plugins::Runtime> runtime, std::string pod, std::string container,
              std::string id)
      : runtime_(std::move(runtime)),
        pod_(std::move(pod)),
        container_(std::move(container)),
        id_(std::move(id)) {}
  const std::string& container() const { return container_; }
  // Its exit code, 128 + N when signal N ended it. When `op` is cancelled or its deadline passes,
  // the process and its descendants are killed first.
  absl::StatusOr<int> wait(const plugins::Operation& op) const;
  absl::Status resize(const plugins::Operation& op, WindowSize size) const;

 private:
  std::shared_ptr<plugins::Runtime> runtime_;
  std::string pod_, container_, id_;
};

// Shortens what a command wrote to `limit` bytes in all; a stream keeps at least half of that.
void fitOutputs(std::string& output, std::string& error, size_t limit);

class Engine;

// A process for an interactive client: runs until it ends or is cancelled. Must not outlive the
// engine's finish(). Thread-safe.
class RunningExec {
 public:
  // `waiting` is what the process is waited for with; it was made before the process, so that there
  // is nothing left to fail.
  RunningExec(Engine& engine, ExecProcess process, std::unique_ptr<plugins::Operation> waiting);
  // Kills it when it still runs; does not block.
  ~RunningExec();
  RunningExec(const RunningExec&) = delete;
  RunningExec& operator=(const RunningExec&) = delete;

  // Blocks until it has ended. Once. CANCELLED after cancel().
  absl::StatusOr<int> wait();
  // Kills it and its descendants; wait() then returns soon. Does not block.
  void cancel();
  absl::Status resize(WindowSize size);

 private:
  struct State;
  Engine& engine_;
  const std::shared_ptr<State> state_;
};

}  // namespace berth::engine
