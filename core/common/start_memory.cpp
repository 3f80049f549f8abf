#include "common/start_memory.hpp"

#include <cstdint>
#include <cstdio>
#include <malloc.h>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/mman.h>

#include "berth/support/files.hpp"

namespace berth::common {

namespace {

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool isText = false;  // of a file, and as it is there unless somebody has changed it
};

// "begin-end permissions offset device inode path", see proc_pid_maps(5).
std::optional<Mapping> parseMapping(const std::string& line) {
  Mapping mapping;
  char permissions[5] = {};
  unsigned long inode = 0;
  if (std::sscanf(line.c_str(), "%lx-%lx %4s %*x %*x:%*x %lu", &mapping.begin, &mapping.end,
                  permissions, &inode) != 4) {
    return std::nullopt;
  }
  mapping.isText = std::string_view(permissions) == "r-xp" && inode != 0;
  return mapping;
}

void releaseText() {
  const auto smaps = support::readFile("/proc/self/smaps");
  if (!smaps.ok()) return;
  std::istringstream lines(*smaps);
  Mapping mapping;
  for (std::string line; std::getline(lines, line);) {
    if (const auto next = parseMapping(line)) {
      mapping = *next;
      continue;
    }
    unsigned long changed = 0;
    if (!mapping.isText || std::sscanf(line.c_str(), "Anonymous: %lu", &changed) != 1) continue;
    if (changed == 0) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel writes addresses as numbers.
      ::madvise(reinterpret_cast<void*>(mapping.begin), mapping.end - mapping.begin, MADV_DONTNEED);
    }
  }
}

}  // namespace

void releaseStartMemory() {
  ::malloc_trim(0);
  releaseText();
}

}  // namespace berth::common
