// berth_container_status, to and from the plugins.
#pragma once

#include "berth/plugin.hpp"
#include "plugins/owned_text.hpp"
#include "plugins/runtime.hpp"

namespace berth::plugins {

inline ContainerStatus ownedStatus(const berth_container_status& given) {
  return {.id = ownedText(given.id),
          .state = given.state,
          .oomKilled = (given.flags & BERTH_EVENT_OOM_KILLED) != 0,
          .pid = given.pid,
          .exitCode = given.exit_code,
          .startedAt = given.started_at,
          .finishedAt = given.finished_at,
          .message = ownedText(given.message)};
}

// For a call to fill.
inline berth_container_status emptyStatus() {
  berth_container_status status{};
  status.size = sizeof status;
  return status;
}

}  // namespace berth::plugins
