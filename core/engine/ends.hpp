// What is recorded when containers end. The first who tells of an end is the one that counts: an
// event, an answer and a recovery may meet. Thread-safe; each keeps the record durably.
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>

#include "engine/objects.hpp"
#include "plugins/runtime.hpp"

namespace berth::engine {

// It ran and has exited; its state is not looked at.
absl::Status recordExit(Container& container, const plugins::ContainerStatus& status);
// It could not be started. `time`: CLOCK_REALTIME, nanoseconds; 0: now.
absl::Status recordStartFailure(Container& container, std::string_view message, int64_t time);
// One of the two, by what a runtime says of a container that has ended.
absl::Status recordEnd(Container& container, const plugins::ContainerStatus& status);
// It ran, and nobody saw its end (Kubernetes: ContainerStatusUnknown). Nothing is done for one that
// does not run. `time` as above.
absl::Status recordUnknownEnd(Container& container, std::string_view message, int64_t time);

}  // namespace berth::engine
