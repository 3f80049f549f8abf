// What a call leaves in and outside of this process.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

namespace berth::check {

// This process as the kernel sees it at a moment.
struct Surroundings {
  size_t threads = 0;
  size_t children = 0;
  std::vector<std::string> descriptors;  // what each open one is
  std::string mounts;

  // What `later` has more, or otherwise; a line for each.
  std::vector<std::string> differences(const Surroundings& later) const;
};
Surroundings lookAround();

// From now on until the process ends, system calls that change something outside of it fail with
// EROFS and are kept for watchedCalls(): files made, opened for writing, removed or renamed,
// mounts, namespaces, processes started or killed. All threads. UNIMPLEMENTED on machines whose
// system calls it does not know.
absl::Status watchSystemCalls();
// Those that there were, each once, as "mkdirat(/var/lib/x)".
std::vector<std::string> watchedCalls();

}  // namespace berth::check
