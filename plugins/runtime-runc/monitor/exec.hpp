// A process started in a running container.
#pragma once

#include <memory>
#include <vector>

#include "cgroup.hpp"
#include "console_socket.hpp"
#include "runtime_call.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

class Exec;

class ExecOwner {
 public:
  // Forget it; it is not used again.
  virtual void onExecDone(Exec& exec) = 0;
  virtual Cgroup cgroup() const = 0;

 protected:
  ~ExecOwner() = default;
};

class Exec final : public Mortal, public RuntimeListener, public ChildWatcher, public HubListener {
 public:
  Exec(Context& context, ExecOwner& owner, protocol::ExecRequest request, const ReplyTo& starter);
  ~Exec() override;

  const std::string& id() const { return request_.execId; }
  bool terminal() const { return request_.terminal != 0; }
  const protocol::ExecStatus& status() const { return status_; }

  // `fds`: stdin, stdout, stderr; those not given are empty. An error leaves nothing to wait for;
  // the answer to the starter is the caller's then, and this object's else.
  Status begin(Fd* fds);
  void wait(const ReplyTo& to);
  // OK when it has exited.
  Status signal(int number, protocol::KillScope scope);
  Status resize(uint16_t width, uint16_t height);
  void closeInput() { hub_.closeInput(); }
  void onDisconnect(uint64_t connection);
  // The container goes: whoever waits gets an answer.
  void containerGone();

 private:
  // Kills the tree when the time is up.
  class Deadline final : public Timer {
   public:
    explicit Deadline(Exec& exec) : exec_(exec) {}
    void onTimer() override { exec_.onTimeout(); }

   private:
    Exec& exec_;
  };

  void onRuntimeDone(Status status) override;
  Status adopt();
  void onChildExit(pid_t pid, int status, int64_t at) override;
  void onSessionsGone() override;
  void onTimeout();
  void killAll();
  void tellExit(const ReplyTo& to);
  void failStart(Status status);
  void doneIfUnwanted();

  Context& context_;
  ExecOwner& owner_;
  protocol::ExecRequest request_;
  ReplyTo starter_;
  protocol::ExecStatus status_;
  RuntimeCall call_;
  PidFile pidFile_;
  std::string log_;
  std::unique_ptr<ConsoleSocket> console_;
  // Of the process: its own (runc), or what it has from the runtime (crun).
  pid_t session_ = 0;
  Fd terminal_;
  Fd in_, out_, err_;  // of a terminal exec, until it runs
  IoHub hub_;
  Deadline deadline_;
  std::vector<ReplyTo> waiters_;
  bool toldExit_ = false;
  bool ownerGone_ = false;
  bool done_ = false;
};

}  // namespace berth::runc::monitor
