#include "pod.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "berth/support/steps.hpp"
#include "files.hpp"

namespace berth::runc::monitor {

namespace {

constexpr const char* kStateNames[] = {"created", "starting",     "running",
                                       "exited",  "start-failed", "deleting"};

void appendLine(std::string& out, std::string_view name, std::string_view value) {
  if (!value.empty()) out += concat({name, "=", value, "\n"});
}

}  // namespace

Pod::Pod(Context& context) : context_(context), server_(context.loop, *this) {
  context_.outlet = this;
  context_.reaper.afterSignals = &Pod::afterSignals;
  context_.reaper.afterSignalsContext = this;
}

Pod::~Pod() {
  context_.outlet = nullptr;
  context_.reaper.afterSignals = nullptr;
}

Status Pod::open() {
  return server_.open(context_.runDir.get(), kSocketName, protocol::kMaxFrame);
}

void Pod::run() {
  context_.loop.run();
}

void Pod::send(const ReplyTo& to, std::string frame) {
  if (Connection* connection = server_.find(to.connection)) connection->send(std::move(frame));
}

void Pod::onDisconnect(uint64_t connection) {
  for (const auto& container : containers_) container->onDisconnect(connection);
}

void Pod::onContainerDone(Container& container) {
  const auto found =
      std::find_if(containers_.begin(), containers_.end(),
                   [&container](const auto& each) { return each.get() == &container; });
  if (found == containers_.end()) return;
  context_.loop.bury(std::move(*found));
  containers_.erase(found);
}

// A host that shuts down ends every process: the monitor goes when it is not needed any more. What
// it leaves (the pin, exit records) is for the plugin to take away, or to read.
void Pod::afterSignals(void* self) {
  Pod& pod = *static_cast<Pod*>(self);
  if (!pod.context_.reaper.terminateRequested()) return;
  const bool needed = std::any_of(pod.containers_.begin(), pod.containers_.end(),
                                  [](const auto& container) { return container->mayRun(); });
  if (!needed) pod.context_.loop.stop();
}

// For people who look into the run folder; nothing reads it back.
void Pod::writeState() {
  std::string out;
  const protocol::PodFacts& facts = context_.facts;
  appendLine(out, "pod", facts.podId);
  appendLine(out, "monitor_pid", Number(facts.monitorPid));
  appendLine(out, "protocol", Number(protocol::kVersion));
  if (facts.initPid != 0) appendLine(out, "init_pid", Number(facts.initPid));
  appendLine(out, "net", facts.netPath);
  appendLine(out, "ipc", facts.ipcPath);
  appendLine(out, "uts", facts.utsPath);
  appendLine(out, "pid", facts.pidPath);
  appendLine(out, "user", facts.userPath);
  for (const auto& container : containers_) {
    const protocol::ContainerStatus status = container->status();
    out += concat(
        {"container=", status.containerId, " ", kStateNames[static_cast<size_t>(status.state)]});
    if (status.pid != 0) out += concat({" pid=", Number(status.pid)});
    if (status.state == protocol::ContainerState::kExited) {
      out += concat({" exit_code=", Number(status.exitCode)});
    }
    out += "\n";
  }
  const Status written = replaceSmall(context_.runDir.get(), "state", out);
  if (!isOk(written)) context_.logError(written);
}

Status removeNetPin(const std::string& path) {
  if (path.empty()) return {};
  if (support::steps::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
      errno != ENOENT) {
    return errnoFailure(errno, {"unmount the network namespace ", path});
  }
  if (support::steps::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errnoFailure(errno, {"remove ", path});
  }
  return {};
}

}  // namespace berth::runc::monitor
