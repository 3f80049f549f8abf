// Starting a container: stdio, the runtime's run (or create and start, or restore), the init's pid;
// and taking everything back when it fails.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "console_socket.hpp"
#include "removal.hpp"
#include "runtime_call.hpp"

namespace berth::runc::monitor {

struct StartedContainer {
  pid_t pid = 0;
  int64_t at = 0;
  Fd in;   // write end, when stdin was asked for and there is no terminal
  Fd out;  // read ends
  Fd err;
  Fd terminal;  // instead of the three
};

class StartListener {
 public:
  // The init is adopted: its exit goes to `watcher`, also when it came before this.
  virtual void onStarted(StartedContainer started) = 0;
  // Nothing of it is left, or the message says what.
  virtual void onStartFailed(Status status) = 0;

 protected:
  ~StartListener() = default;
};

class StartOperation final : public Mortal,
                             public RuntimeListener,
                             public RemovalListener,
                             public ChildWatcher {
 public:
  StartOperation(Context& context, const protocol::CreateContainerRequest& spec,
                 StartListener& listener, ChildWatcher& initWatcher);
  ~StartOperation() override;

  // The listener is called from the loop, or before this returns when it fails at once.
  void begin();
  // The same, but `runtime restore` with these arguments makes its processes.
  void restore(std::vector<std::string> arguments);
  void abort();
  // Whether it is taking itself back; then the runtime's `delete` is killed.
  bool abortUndo();

 private:
  enum class Step : uint8_t { kRun, kCreate, kStart, kRestore, kUndo };

  Status openStdio(Stdio& childs);
  Status openPipes(Stdio& childs);
  std::vector<std::string> commandArguments() const;
  std::string doing() const;
  Status runRuntime();
  void onRuntimeDone(Status status) override;
  Status adoptInit();
  Status runStart();
  void finish();
  void fail(Status status);
  void onChildExit(pid_t pid, int status, int64_t at) override;
  void onRemoved(Status status) override;
  std::string logPath() const;

  Context& context_;
  const protocol::CreateContainerRequest& spec_;
  StartListener& listener_;
  ChildWatcher& initWatcher_;
  Step step_ = Step::kRun;
  std::vector<std::string> restoreArguments_;
  RuntimeCall call_;
  Removal removal_;
  PidFile pidFile_;
  std::unique_ptr<ConsoleSocket> console_;
  StartedContainer started_;
  Fd childIn_, childOut_, childErr_;  // until the runtime has them
  ChildExit earlyExit_;               // of the init, while the runtime is still at work
  bool adopted_ = false;
  bool aborted_ = false;
  Status failure_;
};

}  // namespace berth::runc::monitor
