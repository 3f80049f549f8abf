// Takes a dead container away: kills what it left in its cgroup, then runs `runtime delete`.
#pragma once

#include <string>

#include "cgroup.hpp"
#include "runtime_call.hpp"

namespace berth::runc::monitor {

class RemovalListener {
 public:
  virtual void onRemoved(Status status) = 0;

 protected:
  ~RemovalListener() = default;
};

// The container's init must be dead. A container that the runtime does not know is removed at
// once. Can be started again after a failure or an abort.
class Removal final : public Mortal, public LeftoversListener, public RuntimeListener, Timer {
 public:
  Removal(Context& context, const protocol::CreateContainerRequest& spec,
          RemovalListener& listener);
  ~Removal() override { context_.loop.disarm(*this); }

  // The listener may be called before this returns.
  void start();
  // Kills the runtime with all it has started. The listener hears of it as INTERNAL, unless the
  // container is gone by then.
  void abort();

 private:
  void onLeftoversGone(Status status) override;
  void onRuntimeDone(Status status) override;
  void onTimer() override;
  void callRuntime();
  std::string statePath() const;
  bool runtimeKnowsIt() const;
  void unmountState() const;

  Context& context_;
  const protocol::CreateContainerRequest& spec_;
  RemovalListener& listener_;
  Leftovers leftovers_;
  RuntimeCall call_;
  size_t failures_ = 0;  // of the runtime, one after the other
  bool aborted_ = false;
};

}  // namespace berth::runc::monitor
