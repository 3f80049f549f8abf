// berth_container_status, to and from the plugins.
#pragma once

#include <absl/status/statusor.h>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "plugins/runtime.hpp"
#include "plugins/taking.hpp"

namespace berth::plugins {

inline ContainerStatus ownedStatus(const berth_container_status& given) {
  return {.id = takenText(given.id),
          .state = given.state,
          .oomKilled = (given.flags & BERTH_EVENT_OOM_KILLED) != 0,
          .pid = given.pid,
          .exitCode = given.exit_code,
          .startedAt = given.started_at,
          .finishedAt = given.finished_at,
          .message = takenText(given.message)};
}

// Whether it can be one: INTERNAL.
inline absl::Status checkStatus(const berth_container_status& given) {
  if (given.state >= 0 && given.state <= BERTH_CONTAINER_EXITED) return absl::OkStatus();
  return absl::InternalError(support::strCat("a container in the unknown state ", given.state));
}

// What a call of `plugin` has filled in for the container `id`.
inline absl::StatusOr<ContainerStatus> filledStatus(std::string_view plugin, const std::string& id,
                                                    berth_container_status given) {
  BERTH_RETURN_IF_ERROR(
      support::annotate(checkStatus(given), support::strCat("plugin ", plugin, ": gave")));
  given.id = str(id);
  given.message = {};
  return ownedStatus(given);
}

// For a call to fill.
inline berth_container_status emptyStatus() {
  berth_container_status status{};
  status.size = sizeof status;
  return status;
}

}  // namespace berth::plugins
