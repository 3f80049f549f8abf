#include "cgroup_stats.hpp"

#include <array>
#include <charconv>
#include <string_view>

#include "berth/support/clock.hpp"
#include "cgroup_text.hpp"
#include "cgroup_tree.hpp"

namespace berth::runc {

namespace {

// More than any of the files read here: memory.stat of v1 with its "total_" half has 2 KiB, and an
// io.stat takes 100 bytes for each disk.
constexpr size_t kBufferSize = 32u << 10;

// v1 says "no limit" with the largest multiple of a page.
constexpr uint64_t kUnlimitedV1 = uint64_t{1} << 62;

constexpr uint32_t kCpuGroups = BERTH_STATS_CPU | BERTH_STATS_CPU_DETAIL;
constexpr uint32_t kSwapGroups = BERTH_STATS_SWAP | BERTH_STATS_SWAP_LIMIT;
constexpr uint32_t kMemoryGroups = BERTH_STATS_MEMORY | BERTH_STATS_MEMORY_LIMIT |
                                   BERTH_STATS_MEMORY_DETAIL | BERTH_STATS_RECLAIM | kSwapGroups;

// One file after another through one buffer.
class FileReader {
 public:
  explicit FileReader(CgroupFiles& files) : files_(files) {}

  // The content, valid until the next call; false when there is none.
  bool read(const char* name, std::string_view& text) { return files_.read(name, buffer_, text); }
  bool number(const char* name, uint64_t& value);
  uint64_t lines(const char* name) { return files_.countLines(name, buffer_); }
  const std::string& directory() const { return files_.directory(); }

 private:
  CgroupFiles& files_;
  std::array<char, kBufferSize> buffer_;
};

bool FileReader::number(const char* name, uint64_t& value) {
  std::string_view text;
  return read(name, text) && parseNumber(text, value);
}

double parsePercent(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", then the same with "full".
void parsePressure(std::string_view text, berth_psi& psi) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    const bool some = cut(line, ' ') == "some";
    while (!line.empty()) {
      std::string_view value = cut(line, ' ');
      const std::string_view key = cut(value, '=');
      if (key == "avg10") (some ? psi.some_avg10 : psi.full_avg10) = parsePercent(value);
      if (key == "avg60") (some ? psi.some_avg60 : psi.full_avg60) = parsePercent(value);
      if (key == "avg300") (some ? psi.some_avg300 : psi.full_avg300) = parsePercent(value);
      if (key == "total") parseNumber(value, some ? psi.some_total : psi.full_total);
    }
  }
}

// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …", a line for each disk.
void parseIoStat(std::string_view text, berth_stats& stats) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    cut(line, ' ');
    while (!line.empty()) {
      std::string_view value = cut(line, ' ');
      const std::string_view key = cut(value, '=');
      uint64_t number = 0;
      if (!parseNumber(value, number)) continue;
      if (key == "rbytes") stats.io_read_bytes += number;
      if (key == "wbytes") stats.io_written_bytes += number;
      if (key == "rios") stats.io_reads += number;
      if (key == "wios") stats.io_writes += number;
    }
  }
}

// "8:0 Read 1", "8:0 Write 2", …, "Total 3".
void parseBlkio(std::string_view text, uint64_t& reads, uint64_t& writes) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    cut(line, ' ');
    const std::string_view operation = cut(line, ' ');
    uint64_t number = 0;
    if (!parseNumber(line, number)) continue;
    if (operation == "Read") reads += number;
    if (operation == "Write") writes += number;
  }
}

void readPressure(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (files.read("cpu.pressure", text)) {
    stats.present |= BERTH_STATS_PSI;
    parsePressure(text, stats.cpu_psi);
  }
  if (files.read("memory.pressure", text)) parsePressure(text, stats.memory_psi);
  if (files.read("io.pressure", text)) parsePressure(text, stats.io_psi);
}

uint64_t countBelow(const std::string& directory) {
  uint64_t count = 0;
  forEachNumber(directory, "cgroup.procs", [&](pid_t) {
    ++count;
    return true;
  });
  return count;
}

void readProcesses(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (!files.read("cgroup.procs", text)) return;
  stats.present |= BERTH_STATS_PROCESSES;
  // A container may have made cgroups of its own; the file does not tell of those.
  stats.processes = mayHaveChildren(files.directory()) ? countBelow(files.directory())
                                                       : files.lines("cgroup.procs");
  files.number("pids.current", stats.threads);
  if (files.number("pids.max", stats.threads_limit) && stats.threads_limit == UINT64_MAX) {
    stats.threads_limit = 0;
  }
}

// What cannot be given back easily: the kubelet's measure for evictions.
void setWorkingSet(berth_stats& stats) {
  stats.memory_working_set = stats.memory_usage > stats.memory_inactive_file
                                 ? stats.memory_usage - stats.memory_inactive_file
                                 : 0;
}

void setMemoryLimit(berth_stats& stats, uint64_t limit, uint64_t unlimited) {
  if (limit >= unlimited) return;
  stats.memory_limit = limit;
  stats.present |= BERTH_STATS_MEMORY_LIMIT;
}

void setSwapLimit(berth_stats& stats, uint64_t limit) {
  stats.swap_limit = limit;
  stats.present |= BERTH_STATS_SWAP_LIMIT;
}

void readCpuV1(FileReader& cpuacct, FileReader& cpu, uint32_t wanted, berth_stats& stats) {
  if (cpuacct.number("cpuacct.usage", stats.cpu_usage)) stats.present |= BERTH_STATS_CPU;
  if ((wanted & BERTH_STATS_CPU_DETAIL) == 0) return;
  if (cpuacct.number("cpuacct.usage_user", stats.cpu_user) &&
      cpuacct.number("cpuacct.usage_sys", stats.cpu_system)) {
    stats.present |= BERTH_STATS_CPU_DETAIL;
  }
  std::string_view text;
  if (cpu.read("cpu.stat", text)) {
    parseFlat(text, {{"nr_periods", &stats.cpu_periods},
                     {"nr_throttled", &stats.cpu_throttled_periods},
                     {"throttled_time", &stats.cpu_throttled_time},
                     {"nr_bursts", &stats.cpu_burst_periods},
                     {"burst_time", &stats.cpu_burst_time}});
  }
}

void readMemoryStatV1(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (!files.read("memory.stat", text)) return;
  parseFlat(text, {{"pgfault", &stats.own_page_faults},
                   {"pgmajfault", &stats.own_major_page_faults},
                   {"total_rss", &stats.memory_rss},
                   {"total_cache", &stats.memory_cache},
                   {"total_mapped_file", &stats.memory_mapped_file},
                   {"total_active_file", &stats.memory_active_file},
                   {"total_inactive_file", &stats.memory_inactive_file},
                   {"total_dirty", &stats.memory_file_dirty},
                   {"total_writeback", &stats.memory_file_writeback},
                   {"total_pgfault", &stats.page_faults},
                   {"total_pgmajfault", &stats.major_page_faults},
                   {"total_swap", &stats.swap_usage}});
}

void readSwapV1(FileReader& files, uint64_t memoryLimit, berth_stats& stats) {
  // It limits memory and swap together.
  uint64_t both = 0;
  if (!files.number("memory.memsw.limit_in_bytes", both)) return;
  stats.present |= BERTH_STATS_SWAP;
  if (both < kUnlimitedV1 && both >= memoryLimit) setSwapLimit(stats, both - memoryLimit);
}

void readMemoryV1(FileReader& files, uint32_t wanted, berth_stats& stats) {
  if (!files.number("memory.usage_in_bytes", stats.memory_usage)) return;
  stats.present |= BERTH_STATS_MEMORY;
  readMemoryStatV1(files, stats);
  setWorkingSet(stats);
  uint64_t limit = UINT64_MAX;
  if (files.number("memory.limit_in_bytes", limit)) setMemoryLimit(stats, limit, kUnlimitedV1);
  if ((wanted & kSwapGroups) != 0) readSwapV1(files, limit, stats);
  if ((wanted & BERTH_STATS_MEMORY_DETAIL) == 0) return;
  stats.present |= BERTH_STATS_MEMORY_DETAIL;
  files.number("memory.kmem.usage_in_bytes", stats.memory_kernel);
  files.number("memory.max_usage_in_bytes", stats.memory_max_usage);
  files.number("memory.failcnt", stats.memory_failures);
  std::string_view text;
  if (files.read("memory.oom_control", text)) parseFlat(text, {{"oom_kill", &stats.oom_events}});
}

void readIoV1(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (files.read("blkio.throttle.io_service_bytes_recursive", text)) {
    stats.present |= BERTH_STATS_IO;
    parseBlkio(text, stats.io_read_bytes, stats.io_written_bytes);
  }
  if (files.read("blkio.throttle.io_serviced_recursive", text)) {
    parseBlkio(text, stats.io_reads, stats.io_writes);
  }
}

void readCpuV2(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (!files.read("cpu.stat", text)) return;
  stats.present |= BERTH_STATS_CPU | BERTH_STATS_CPU_DETAIL;
  parseFlat(text, {{"usage_usec", &stats.cpu_usage},
                   {"user_usec", &stats.cpu_user},
                   {"system_usec", &stats.cpu_system},
                   {"nr_periods", &stats.cpu_periods},
                   {"nr_throttled", &stats.cpu_throttled_periods},
                   {"throttled_usec", &stats.cpu_throttled_time},
                   {"nr_bursts", &stats.cpu_burst_periods},
                   {"burst_usec", &stats.cpu_burst_time}});
  for (uint64_t* time : {&stats.cpu_usage, &stats.cpu_user, &stats.cpu_system,
                         &stats.cpu_throttled_time, &stats.cpu_burst_time}) {
    *time *= 1000;
  }
}

void readMemoryStatV2(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (!files.read("memory.stat", text)) return;
  stats.present |= BERTH_STATS_RECLAIM;
  // The parts of kernel memory, for kernels that do not give their sum (before Linux 5.18).
  uint64_t stacks = 0;
  uint64_t tables = 0;
  uint64_t perCpu = 0;
  uint64_t slab = 0;
  parseFlat(text, {{"anon", &stats.memory_rss},
                   {"file", &stats.memory_cache},
                   {"kernel", &stats.memory_kernel},
                   {"kernel_stack", &stacks},
                   {"pagetables", &tables},
                   {"percpu", &perCpu},
                   {"slab", &slab},
                   {"file_mapped", &stats.memory_mapped_file},
                   {"file_dirty", &stats.memory_file_dirty},
                   {"file_writeback", &stats.memory_file_writeback},
                   {"active_file", &stats.memory_active_file},
                   {"inactive_file", &stats.memory_inactive_file},
                   {"pgfault", &stats.page_faults},
                   {"pgmajfault", &stats.major_page_faults},
                   {"pgscan", &stats.pages_scanned},
                   {"pgsteal", &stats.pages_reclaimed},
                   {"workingset_refault_file", &stats.file_refaults},
                   {"workingset_refault_anon", &stats.anonymous_refaults}});
  if (stats.memory_kernel == 0) stats.memory_kernel = stacks + tables + perCpu + slab;
  // There is no count without the cgroups below.
  stats.own_page_faults = stats.page_faults;
  stats.own_major_page_faults = stats.major_page_faults;
}

void readMemoryEventsV2(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (!files.read("memory.events", text)) return;
  parseFlat(text, {{"high", &stats.memory_high_events},
                   {"max", &stats.memory_max_events},
                   {"oom_kill", &stats.oom_events}});
  stats.memory_failures = stats.memory_max_events;
}

void readSwapV2(FileReader& files, berth_stats& stats) {
  if (files.number("memory.swap.current", stats.swap_usage)) stats.present |= BERTH_STATS_SWAP;
  uint64_t limit = UINT64_MAX;
  if (files.number("memory.swap.max", limit) && limit != UINT64_MAX) setSwapLimit(stats, limit);
}

void readMemoryV2(FileReader& files, uint32_t wanted, berth_stats& stats) {
  if (!files.number("memory.current", stats.memory_usage)) return;
  stats.present |= BERTH_STATS_MEMORY;
  readMemoryStatV2(files, stats);
  setWorkingSet(stats);
  uint64_t limit = UINT64_MAX;
  if (files.number("memory.max", limit)) setMemoryLimit(stats, limit, UINT64_MAX);
  if ((wanted & kSwapGroups) != 0) readSwapV2(files, stats);
  if ((wanted & (BERTH_STATS_MEMORY_DETAIL | BERTH_STATS_RECLAIM)) == 0) return;
  stats.present |= BERTH_STATS_MEMORY_DETAIL;
  files.number("memory.peak", stats.memory_max_usage);
  readMemoryEventsV2(files, stats);
}

}  // namespace

CgroupStats::CgroupStats(const CgroupLayout& layout, const std::string& path)
    : unified_(layout.mode() == CgroupMode::kUnified),
      cpu_(layout.directory("cpu", path)),
      cpuacct_(layout.directory("cpuacct", path)),
      memory_(layout.directory("memory", path)),
      pids_(layout.directory("pids", path)),
      blkio_(layout.directory("blkio", path)),
      all_(layout.unifiedDirectory(path)) {}

bool CgroupStats::read(uint32_t wanted, berth_stats& stats) {
  stats.present = 0;
  {
    const std::lock_guard lock(mutex_);
    if (unified_) {
      readV2(wanted, stats);
    } else {
      readV1(wanted, stats);
    }
  }
  stats.timestamp = support::nowNanoseconds();
  return stats.present != 0;
}

void CgroupStats::release() {
  const std::lock_guard lock(mutex_);
  for (CgroupFiles* files : {&cpu_, &cpuacct_, &memory_, &pids_, &blkio_, &all_}) {
    files->release();
  }
}

void CgroupStats::readV1(uint32_t wanted, berth_stats& stats) {
  if ((wanted & kCpuGroups) != 0) {
    FileReader cpuacct(cpuacct_);
    FileReader cpu(cpu_);
    readCpuV1(cpuacct, cpu, wanted, stats);
  }
  if ((wanted & kMemoryGroups) != 0) {
    FileReader memory(memory_);
    readMemoryV1(memory, wanted, stats);
  }
  if ((wanted & BERTH_STATS_PROCESSES) != 0) {
    FileReader pids(pids_);
    readProcesses(pids, stats);
  }
  if ((wanted & BERTH_STATS_IO) != 0) {
    FileReader blkio(blkio_);
    readIoV1(blkio, stats);
  }
  if ((wanted & BERTH_STATS_PSI) != 0) {
    // In hybrid mode the unified hierarchy has the pressure of the same processes.
    FileReader pressure(all_);
    readPressure(pressure, stats);
  }
}

void CgroupStats::readV2(uint32_t wanted, berth_stats& stats) {
  FileReader files(all_);
  if ((wanted & kCpuGroups) != 0) readCpuV2(files, stats);
  if ((wanted & kMemoryGroups) != 0) readMemoryV2(files, wanted, stats);
  if ((wanted & BERTH_STATS_PROCESSES) != 0) readProcesses(files, stats);
  std::string_view text;
  if ((wanted & BERTH_STATS_IO) != 0 && files.read("io.stat", text)) {
    stats.present |= BERTH_STATS_IO;
    parseIoStat(text, stats);
  }
  if ((wanted & BERTH_STATS_PSI) != 0) readPressure(files, stats);
}

}  // namespace berth::runc
