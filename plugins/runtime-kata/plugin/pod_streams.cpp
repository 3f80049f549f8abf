#include "pod_streams.hpp"

#include "berth/runtime.h"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::kata {

keeper::Request openRequest(const Pod& pod, const ContainerRecord& container) {
  const bool terminal = (container.flags & BERTH_CONTAINER_TERMINAL) != 0;
  const bool input = (container.flags & BERTH_CONTAINER_STDIN) != 0;
  const bool once = (container.flags & BERTH_CONTAINER_STDIN_ONCE) != 0;
  return {.operation = keeper::Operation::kOpen,
          .key = container.id,
          .input = input ? pod.fifo(container.id, "in") : "",
          .output = pod.fifo(container.id, "out"),
          .error = terminal ? "" : pod.fifo(container.id, "err"),
          .log = container.log,
          .inputMode = !input ? keeper::Input::kNone
                       : once ? keeper::Input::kWithFirstSession
                              : keeper::Input::kStays,
          .cgroup = container.cgroup};
}

keeper::Request openRequest(const Pod& pod, const std::string& execKey) {
  const auto present = [&](const char* stream) {
    std::string path = pod.fifo(execKey, stream);
    return support::pathExists(path) ? path : std::string();
  };
  return {.operation = keeper::Operation::kOpen,
          .key = execKey,
          .input = present("in"),
          .output = present("out"),
          .error = present("err"),
          .inputMode = keeper::Input::kWithFirstSession,
          .bound = 1};
}

absl::Status forgetStreams(const Pod& pod, const std::string& key, const CallLimits& limits) {
  const absl::Status forgotten =
      pod.keeper().call({.operation = keeper::Operation::kForget, .key = key}, limits).status();
  support::StatusCollector failures;
  if (!absl::IsUnavailable(forgotten)) failures.add(forgotten);
  for (const char* stream : {"in", "out", "err"}) {
    failures.add(support::removePath(pod.fifo(key, stream)));
  }
  return failures.status();
}

}  // namespace berth::kata
