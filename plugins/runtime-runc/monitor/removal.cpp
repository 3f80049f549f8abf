#include "removal.hpp"

#include <unistd.h>

namespace berth::runc::monitor {

Removal::Removal(Context& context, const protocol::CreateContainerRequest& spec,
                 RemovalListener& listener)
    : context_(context),
      spec_(spec),
      listener_(listener),
      leftovers_(context.loop, *this),
      call_(context, *this) {}

void Removal::start() {
  leftovers_.kill({spec_.cgroupKind, spec_.cgroupDir});
}

// Both runc and crun keep a container's state in a folder of its name below --root.
bool Removal::runtimeKnowsIt() const {
  const std::string state = concat({context_.config.runtimeRoot, "/", spec_.containerId});
  return access(state.c_str(), F_OK) == 0;
}

void Removal::onLeftoversGone(Status status) {
  if (!isOk(status)) return listener_.onRemoved(std::move(status));
  if (!runtimeKnowsIt()) return listener_.onRemoved({});
  status = call_.start(concat({"delete container ", spec_.containerId}),
                       concat({spec_.bundle, "/runtime.log"}), {"delete", spec_.containerId}, {});
  if (!isOk(status)) listener_.onRemoved(std::move(status));
}

void Removal::onRuntimeDone(Status status) {
  if (!isOk(status) && !runtimeKnowsIt()) status = {};
  listener_.onRemoved(std::move(status));
}

}  // namespace berth::runc::monitor
