// Writing a container's state to files, by the OCI runtime.
#pragma once

#include <string>
#include <vector>

#include "runtime_call.hpp"

namespace berth::runc::monitor {

class CheckpointOwner {
 public:
  // It has ended and answered; it is not used again.
  virtual void onCheckpointDone() = 0;

 protected:
  ~CheckpointOwner() = default;
};

class Checkpoint final : public Mortal, public RuntimeListener {
 public:
  Checkpoint(Context& context, CheckpointOwner& owner, protocol::CheckpointContainerRequest request,
             const ReplyTo& starter);
  ~Checkpoint() override;

  // An error leaves nothing to wait for, and the answer to the caller.
  Status begin();
  // Kills the runtime with all it has started. `to` is answered after the starter was.
  void cancel(const ReplyTo& to);
  // The same for one whose starter is gone: the state it writes is of no use to anyone.
  void onDisconnect(uint64_t connection);
  // The container goes: whoever waits gets an answer now.
  void abandon();

 private:
  void onRuntimeDone(Status status) override;
  void answerAll(const Status& status);

  Context& context_;
  CheckpointOwner& owner_;
  protocol::CheckpointContainerRequest request_;
  ReplyTo starter_;
  std::vector<ReplyTo> cancellers_;
  RuntimeCall call_;
  std::string log_;
  bool abandoned_ = false;
};

}  // namespace berth::runc::monitor
