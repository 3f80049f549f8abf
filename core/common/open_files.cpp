#include "common/open_files.hpp"

#include <algorithm>
#include <cstdint>
#include <sys/resource.h>

#include "berth/support/open_files.hpp"

uint64_t berth_child_open_files = 0;

namespace berth::common {

void raiseOpenFiles() {
  // Where the hard limit is none at all: more than any node needs, and libraries that reserve by
  // the limit still can.
  constexpr rlim_t kMost = 1u << 20;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = std::max(before, std::min(limit.rlim_max, kMost));
  if (limit.rlim_cur == before || ::setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  berth_child_open_files = before;
}

}  // namespace berth::common
