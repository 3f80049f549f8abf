#include "removal.hpp"

#include <iterator>
#include <unistd.h>

namespace berth::runc::monitor {

namespace {

// A runtime that was killed leaves children which end by themselves, and until then may keep its
// successor from deleting: runc's still mount its binary into the container's state. On a node with
// much to do that takes them a while.
constexpr int64_t kPausesNs[] = {20'000'000, 100'000'000, 400'000'000, 1'500'000'000,
                                 3'000'000'000};

}  // namespace

Removal::Removal(Context& context, const protocol::CreateContainerRequest& spec,
                 RemovalListener& listener)
    : context_(context),
      spec_(spec),
      listener_(listener),
      leftovers_(context.loop, *this),
      call_(context, *this) {}

void Removal::start() {
  failures_ = 0;
  leftovers_.kill({spec_.cgroupKind, spec_.cgroupDir});
}

// Both runc and crun keep a container's state in a folder of its name below --root.
bool Removal::runtimeKnowsIt() const {
  const std::string state = concat({context_.config.runtimeRoot, "/", spec_.containerId});
  return access(state.c_str(), F_OK) == 0;
}

void Removal::onLeftoversGone(Status status) {
  if (!isOk(status)) return listener_.onRemoved(std::move(status));
  callRuntime();
}

void Removal::callRuntime() {
  if (!runtimeKnowsIt()) return listener_.onRemoved({});
  Status status =
      call_.start(concat({"delete container ", spec_.containerId}),
                  concat({spec_.bundle, "/runtime.log"}), {"delete", spec_.containerId}, {});
  if (!isOk(status)) listener_.onRemoved(std::move(status));
}

void Removal::onRuntimeDone(Status status) {
  if (isOk(status) || !runtimeKnowsIt()) return listener_.onRemoved({});
  if (failures_ == std::size(kPausesNs)) return listener_.onRemoved(std::move(status));
  context_.loop.arm(*this, kPausesNs[failures_++]);
}

void Removal::onTimer() {
  callRuntime();
}

}  // namespace berth::runc::monitor
