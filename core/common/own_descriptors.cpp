#include "common/own_descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/status.hpp"

namespace berth::common {

absl::Status keepOwnDescriptors(std::vector<int> kept) {
  if (::unshare(CLONE_FILES) != 0)
    return support::errnoStatus(errno, "give a thread descriptors of its own");
  std::sort(kept.begin(), kept.end());
  unsigned next = 0;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (next < number) ::syscall(SYS_close_range, next, number - 1, 0);
    next = number + 1;
  }
  ::syscall(SYS_close_range, next, ~0U, 0);
  return absl::OkStatus();
}

}  // namespace berth::common
