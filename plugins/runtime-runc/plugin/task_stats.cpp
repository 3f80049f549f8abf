#include "task_stats.hpp"

#include <algorithm>
#include <dirent.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "cgroup_text.hpp"
#include "cgroup_tree.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// Some 10 microseconds each.
constexpr uint64_t kMostThreads = 4096;
// Some microseconds each.
constexpr uint64_t kMostLinks = 16384;

// Controllers that every container has, whatever else it lacks.
std::string directoryOf(const CgroupLayout& layout, const std::string& path) {
  for (const char* controller : {"pids", "cpuacct", "memory"}) {
    std::string directory = layout.directory(controller, path);
    if (!directory.empty()) return directory;
  }
  return {};
}

struct Descriptors {
  uint64_t open = 0;
  uint64_t sockets = 0;
  bool allLooked = true;
};

bool isSocket(int directory, const char* name) {
  constexpr std::string_view kPrefix = "socket:";
  char target[kPrefix.size()];
  return ::readlinkat(directory, name, target, sizeof target) ==
             static_cast<ssize_t>(kPrefix.size()) &&
         std::string_view(target, kPrefix.size()) == kPrefix;
}

// Since Linux 6.2 the folder's size is the number of its entries; before it is 0.
uint64_t countByStat(const std::string& folder) {
  struct stat info = {};
  return ::stat(folder.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

void addDescriptors(const std::string& folder, uint32_t wanted, Descriptors& sum) {
  const uint64_t counted = countByStat(folder);
  const bool look =
      (wanted & BERTH_STATS_SOCKETS) != 0 && sum.allLooked && sum.open + counted <= kMostLinks;
  if (!look && counted != 0) {
    sum.open += counted;
    sum.allLooked = false;
    return;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), &::closedir);
  if (opened == nullptr) return;
  while (const dirent* entry = ::readdir(opened.get())) {
    if (entry->d_name[0] == '.') continue;
    ++sum.open;
    if (!look || sum.open > kMostLinks) {
      sum.allLooked = false;
    } else if (isSocket(::dirfd(opened.get()), entry->d_name)) {
      ++sum.sockets;
    }
  }
}

void readDescriptors(const std::string& directory, uint32_t wanted, const std::string& procfs,
                     berth_stats& stats) {
  Descriptors sum;
  forEachNumber(directory, "cgroup.procs", [&](pid_t pid) {
    addDescriptors(strCat(procfs, "/", pid, "/fd"), wanted, sum);
    return true;
  });
  stats.file_descriptors = sum.open;
  stats.present |= wanted & BERTH_STATS_DESCRIPTORS;
  if (!sum.allLooked) return;
  stats.sockets = sum.sockets;
  stats.present |= wanted & BERTH_STATS_SOCKETS;
}

// "Max open files            1024                 524288               files"
void readOpenFilesLimit(const std::string& procfs, pid_t pid, berth_stats& stats) {
  constexpr std::string_view kLine = "Max open files";
  const auto text = support::readFile(strCat(procfs, "/", pid, "/limits"));
  if (!text.ok()) return;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = cut(rest, '\n');
    if (!line.starts_with(kLine)) continue;
    line.remove_prefix(kLine.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    parseNumber(line, stats.open_files_limit);
  }
}

// The state in proc(5), "stat": behind the name, which may hold anything.
char stateOf(const std::string& procfs, pid_t tid) {
  const auto text = support::readFile(strCat(procfs, "/", tid, "/stat"));
  if (!text.ok()) return 0;
  const size_t end = text->rfind(')');
  return end == std::string::npos || end + 2 >= text->size() ? '\0' : (*text)[end + 2];
}

void countState(char state, berth_stats& stats) {
  switch (state) {
    case 'R':
      ++stats.tasks_running;
      break;
    case 'S':
    case 'I':
      ++stats.tasks_sleeping;
      break;
    case 'D':
      ++stats.tasks_uninterruptible;
      break;
    case 'T':
    case 't':
      ++stats.tasks_stopped;
      break;
    default:  // on its way out
      break;
  }
}

void readStates(const CgroupLayout& layout, const std::string& directory, const std::string& procfs,
                berth_stats& stats) {
  const char* const list = layout.mode() == CgroupMode::kUnified ? "cgroup.threads" : "tasks";
  uint64_t threads = 0;
  forEachNumber(directory, list, [&](pid_t tid) {
    if (++threads > kMostThreads) return false;
    countState(stateOf(procfs, tid), stats);
    return true;
  });
  if (threads <= kMostThreads) stats.present |= BERTH_STATS_TASKS;
}

}  // namespace

void readTasks(const CgroupLayout& layout, const std::string& path, pid_t first, uint32_t wanted,
               berth_stats& stats, const std::string& procfs) {
  constexpr uint32_t kGroups = BERTH_STATS_DESCRIPTORS | BERTH_STATS_SOCKETS | BERTH_STATS_TASKS;
  if ((wanted & kGroups) == 0) return;
  const std::string directory = directoryOf(layout, path);
  if (directory.empty() || !support::pathExists(directory)) return;
  if ((wanted & (BERTH_STATS_DESCRIPTORS | BERTH_STATS_SOCKETS)) != 0) {
    readDescriptors(directory, wanted, procfs, stats);
    if (first > 0) readOpenFilesLimit(procfs, first, stats);
  }
  if ((wanted & BERTH_STATS_TASKS) != 0) readStates(layout, directory, procfs, stats);
}

}  // namespace berth::runc
