// The daemon's own process, as /proc has it (proc(5)).
#include <sys/resource.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "common/text.hpp"
#include "telemetry/metrics.hpp"

namespace berth::telemetry {

namespace {

double seconds(const timeval& time) {
  constexpr double kMicroseconds = 1e-6;
  return static_cast<double>(time.tv_sec) + kMicroseconds * static_cast<double>(time.tv_usec);
}

// /proc/self/statm: pages in all, and those in memory.
void readMemory(std::vector<Reading>& readings) {
  const auto text = support::readFile("/proc/self/statm");
  if (!text.ok()) return;
  const auto fields = common::split(common::trimmed(*text), ' ');
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const auto pages = [&](size_t index) {
    const auto count = common::parseNumber<uint64_t>(fields.at(index));
    return static_cast<double>(count.value_or(0)) * page;
  };
  if (fields.size() < 2) return;
  readings.push_back(
      {"process_virtual_memory_bytes", "Virtual memory of the daemon.", {}, pages(0)});
  readings.push_back(
      {"process_resident_memory_bytes", "Resident memory of the daemon.", {}, pages(1)});
}

// /proc/stat: "btime 1700000000", the boot in seconds since 1970; 0: not told.
uint64_t bootTime() {
  const auto text = support::readFile("/proc/stat");
  if (!text.ok()) return 0;
  for (const std::string_view line : common::split(*text, '\n')) {
    constexpr std::string_view kName = "btime ";
    if (line.starts_with(kName))
      return common::parseNumber<uint64_t>(line.substr(kName.size())).value_or(0);
  }
  return 0;
}

// Once: a clock that is set moves the boot's time.
double startTime() {
  static const double time =
      static_cast<double>(bootTime()) + static_cast<double>(support::processStart(::getpid())) /
                                            static_cast<double>(::sysconf(_SC_CLK_TCK));
  return time;
}

}  // namespace

std::vector<Reading> readProcess() {
  std::vector<Reading> readings;
  readMemory(readings);
  readings.push_back({"process_start_time_seconds",
                      "When the daemon was started, in seconds since 1970.",
                      {},
                      startTime()});
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) {
    readings.push_back({"process_cpu_seconds_total",
                        "CPU time of the daemon, in user mode and in the kernel.",
                        {},
                        seconds(used.ru_utime) + seconds(used.ru_stime),
                        true});
  }
  if (const auto open = support::listDirectory("/proc/self/fd"); open.ok())
    readings.push_back({"process_open_fds",
                        "Descriptors that the daemon has open.",
                        {},
                        static_cast<double>(open->size())});
  if (const auto threads = support::listDirectory("/proc/self/task"); threads.ok())
    readings.push_back(
        {"process_threads", "Threads of the daemon.", {}, static_cast<double>(threads->size())});
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    readings.push_back({"process_max_fds",
                        "Descriptors that the daemon may have open.",
                        {},
                        static_cast<double>(limit.rlim_cur)});
  return readings;
}

}  // namespace berth::telemetry
