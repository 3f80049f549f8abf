// One container: its state machine, from registration to removal.
#pragma once

#include <memory>
#include <vector>

#include "checkpoint.hpp"
#include "exec.hpp"
#include "removal.hpp"
#include "start_operation.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

class Container;

class ContainerOwner {
 public:
  // Forget it; it is not used again.
  virtual void onContainerDone(Container& container) = 0;

 protected:
  ~ContainerOwner() = default;
};

// Functions with a ReplyTo answer it themselves, at once or later; those that return a Status
// leave the answer to the caller.
class Container final : public Mortal,
                        public StartListener,
                        public RemovalListener,
                        public ChildWatcher,
                        public HubListener,
                        public OomListener,
                        public ExecOwner,
                        public CheckpointOwner {
 public:
  Container(Context& context, ContainerOwner& owner, protocol::CreateContainerRequest spec);
  ~Container() override;

  // Opens the log.
  Status open() { return log_.open(spec_.logPath); }

  const std::string& id() const { return spec_.containerId; }
  protocol::ContainerStatus status() const;
  const std::vector<std::unique_ptr<Exec>>& execs() const { return execs_; }
  bool sameSpec(const protocol::CreateContainerRequest& other) const;
  bool mayRun() const {
    return state_ == protocol::ContainerState::kStarting ||
           state_ == protocol::ContainerState::kRunning;
  }

  void start(const ReplyTo& to);
  // In place of start(): the runtime makes its processes from files. Joins one that is at work.
  void restore(std::vector<std::string> arguments, const ReplyTo& to);
  Status checkpoint(protocol::CheckpointContainerRequest request, const ReplyTo& to);
  // Answers once none is at work.
  void cancelCheckpoint(const ReplyTo& to);
  Status signal(int number, protocol::KillScope scope);
  void remove(const ReplyTo& to);
  // Answers once no removal is at work, that of a start that failed included.
  void cancelRemoval(const ReplyTo& to);

  Status exec(protocol::ExecRequest request, Fd* fds, const ReplyTo& to);
  Exec* findExec(const std::string& execId);

  Status attach(Fd in, Fd out, Fd err);
  Status resize(uint16_t width, uint16_t height);
  Status closeInput();
  Status reopenLog(const std::string& path);
  void onDisconnect(uint64_t connection);

 private:
  void onStarted(StartedContainer started) override;
  void onStartFailed(Status status) override;
  void onChildExit(pid_t pid, int status, int64_t at) override;
  void onOomKills(uint64_t total) override;
  void onRemoved(Status status) override;
  void onSessionsGone() override {}
  void onExecDone(Exec& exec) override;
  void onCheckpointDone() override;
  Cgroup cgroup() const override { return {spec_.cgroupKind, spec_.cgroupDir}; }

  // A start that may begin now; null when `to` has been answered or waits with the others.
  StartOperation* beginStart(const ReplyTo& to);
  void endCheckpoint();
  void setState(protocol::ContainerState state);
  void openStreams(StartedContainer& started);
  void watchMemory();
  void recordExit();
  void answerStart(const ReplyTo& to) const;
  void answerCancellers();
  void drop();

  Context& context_;
  ContainerOwner& owner_;
  protocol::CreateContainerRequest spec_;
  protocol::ContainerState state_ = protocol::ContainerState::kCreated;
  protocol::ContainerState beforeRemoval_ = protocol::ContainerState::kCreated;
  pid_t pid_ = 0;
  int64_t startedAt_ = 0;
  int64_t finishedAt_ = 0;
  int exitCode_ = 0;
  uint64_t oomKills_ = 0;
  Status startError_;
  LogFile log_;
  IoHub hub_;
  OomWatch oom_;
  Fd terminal_;
  std::unique_ptr<StartOperation> starting_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Removal> removal_;
  std::vector<ReplyTo> startWaiters_;
  std::vector<ReplyTo> removeWaiters_;
  std::vector<ReplyTo> removeCancellers_;
  std::vector<std::unique_ptr<Exec>> execs_;
};

}  // namespace berth::runc::monitor
