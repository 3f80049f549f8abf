#include "removal.hpp"

#include <dirent.h>
#include <iterator>
#include <sys/mount.h>
#include <unistd.h>

#include "berth/support/steps.hpp"

namespace berth::runc::monitor {

namespace {

// A runtime that was killed leaves children which end by themselves, and until then may keep its
// successor from deleting.
constexpr int64_t kPausesNs[] = {20'000'000, 100'000'000, 400'000'000};

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
  aborted_ = false;
  leftovers_.kill({spec_.cgroupKind, spec_.cgroupDir});
}

void Removal::abort() {
  aborted_ = true;
  call_.abort();
}

// Both runc and crun keep a container's state in a folder of its name below --root.
std::string Removal::statePath() const {
  return concat({context_.config.runtimeRoot, "/", spec_.containerId});
}

bool Removal::runtimeKnowsIt() const {
  return access(statePath().c_str(), F_OK) == 0;
}

// For a moment runc has its binary mounted into the state. One that is killed at that moment leaves
// the mount, and no successor gets past it.
void Removal::unmountState() const {
  const std::string state = statePath();
  DIR* stream = opendir(state.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_type != DT_REG) continue;
    // Nearly nothing is a mount.
    (void)support::steps::umount2(concat({state, "/", entry->d_name}).c_str(),
                                  MNT_DETACH | UMOUNT_NOFOLLOW);
  }
  closedir(stream);
}

void Removal::onLeftoversGone(Status status) {
  if (!isOk(status)) return listener_.onRemoved(std::move(status));
  callRuntime();
}

void Removal::callRuntime() {
  if (!runtimeKnowsIt()) return listener_.onRemoved({});
  if (aborted_) {
    return listener_.onRemoved(
        failure(Code::kInternal, {"delete container ", spec_.containerId, ": it was given up"}));
  }
  Status status =
      call_.start(concat({"delete container ", spec_.containerId}),
                  concat({spec_.bundle, "/runtime.log"}), {"delete", spec_.containerId}, {});
  if (!isOk(status)) listener_.onRemoved(std::move(status));
}

// What is left counts, not what the runtime says: runc tells of success when a mount is in its way.
void Removal::onRuntimeDone(Status status) {
  if (aborted_) return onTimer();  // nothing to pause for
  if (!runtimeKnowsIt()) return listener_.onRemoved({});
  if (failures_ == std::size(kPausesNs)) {
    if (isOk(status)) {
      status = failure(Code::kInternal, {"delete container ", spec_.containerId,
                                         ": the runtime leaves its state in ", statePath()});
    }
    return listener_.onRemoved(std::move(status));
  }
  context_.loop.arm(*this, kPausesNs[failures_++]);
}

void Removal::onTimer() {
  unmountState();
  callRuntime();
}

}  // namespace berth::runc::monitor
