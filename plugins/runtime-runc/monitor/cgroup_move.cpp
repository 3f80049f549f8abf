#include "cgroup_move.hpp"

#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.hpp"

namespace berth::runc::monitor {

namespace {

// Where hierarchies are mounted by convention: "/sys/fs/cgroup" alone is version 2, else each has a
// folder of its controllers' names or of its own, and version 2 one named "unified".
std::string processesFile(std::string_view controllers, std::string_view path, bool isHybrid) {
  constexpr std::string_view kNamed = "name=";
  if (controllers.substr(0, kNamed.size()) == kNamed) controllers.remove_prefix(kNamed.size());
  if (controllers.empty() && isHybrid) controllers = "unified";
  return concat({"/sys/fs/cgroup/", controllers, path, "/cgroup.procs"});
}

// One hierarchy will do: all share the lock. Lines are "number:controllers:path" (cgroups(7)).
bool moveToWhereItIs() {
  constexpr size_t kMostText = 16u << 10;
  const bool isHybrid = access("/sys/fs/cgroup/cgroup.procs", F_OK) != 0;
  const std::string text = readSmall(AT_FDCWD, "/proc/self/cgroup", kMostText);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : rest.size());
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string file = processesFile(line.substr(first + 1, second - first - 1),
                                           line.substr(second + 1), isHybrid);
    if (writeControl(file.c_str(), "0") == 0) return true;
  }
  return false;
}

}  // namespace

pid_t prepareCgroupMove() {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Nobody is to wait for this process at the end of a pipe.
  syscall(SYS_close_range, 0u, ~0u, 0u);
  _exit(moveToWhereItIs() ? 0 : 1);
}

}  // namespace berth::runc::monitor
