// What a shim's Stats say, in the ABI's terms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/runtime.h"
#include "berth/support/clock.hpp"
#include "task_client.hpp"

namespace berth::kata {

struct TaskStats {
  berth_stats stats{};
  // Where the pointers of `stats` are to lead.
  std::vector<berth_hugepage_stats> hugepages;
  std::vector<std::string> pageSizes;
};

// `url` is the message's type: "io.containerd.cgroups.v1.Metrics" or of v2, with or without
// something and a slash before it. UNIMPLEMENTED for another one, INTERNAL for what is none.
absl::StatusOr<TaskStats> parseStats(std::string_view url, std::string_view metrics);
// Asks the shim for those of a container, or of the sandbox.
absl::StatusOr<TaskStats> askStats(TaskClient& shim, std::string_view id, const CallLimits& limits);

struct InterfaceStats {
  std::string name;
  berth_interface_stats stats{};
};
// Reads /proc/net/dev (proc(5)); the loopback interface is left out.
std::vector<InterfaceStats> parseInterfaces(std::string_view text);

}  // namespace berth::kata
