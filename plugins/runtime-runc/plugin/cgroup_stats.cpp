#include "cgroup_stats.hpp"

#include <array>
#include <charconv>
#include <string_view>

#include "berth/support/clock.hpp"

namespace berth::runc {

namespace {

// More than any of the files read here: memory.stat of v1 with its "total_" half has 2 KiB, and an
// io.stat takes 100 bytes for each disk.
constexpr size_t kBufferSize = 32u << 10;

// v1 says "no limit" with the largest multiple of a page.
constexpr uint64_t kUnlimitedV1 = uint64_t{1} << 62;

// One file after another through one buffer.
class FileReader {
 public:
  explicit FileReader(CgroupFiles& files) : files_(files) {}

  // The content, valid until the next call; false when there is none.
  bool read(const char* name, std::string_view& text) { return files_.read(name, buffer_, text); }
  bool number(const char* name, uint64_t& value);

 private:
  CgroupFiles& files_;
  std::array<char, kBufferSize> buffer_;
};

// Cuts the text up to `separator` off the front of `rest`.
std::string_view cut(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return head;
}

// "max" is the largest number.
bool parseNumber(std::string_view text, uint64_t& value) {
  if (text.starts_with("max")) {
    value = UINT64_MAX;
    return true;
  }
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

bool FileReader::number(const char* name, uint64_t& value) {
  std::string_view text;
  return read(name, text) && parseNumber(text, value);
}

struct Member {
  std::string_view key;
  uint64_t* value;
};

// "key value" lines.
void parseFlat(std::string_view text, std::initializer_list<Member> members) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    const std::string_view key = cut(line, ' ');
    for (const Member& member : members) {
      if (member.key == key) parseNumber(line, *member.value);
    }
  }
}

uint64_t countLines(std::string_view text) {
  uint64_t lines = 0;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  return lines;
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

void readProcesses(FileReader& files, berth_stats& stats) {
  std::string_view text;
  if (files.read("cgroup.procs", text)) {
    stats.processes = countLines(text);
    stats.present |= BERTH_STATS_PROCESSES;
  }
  files.number("pids.current", stats.threads);
  if (files.number("pids.max", stats.threads_limit) && stats.threads_limit == UINT64_MAX) {
    stats.threads_limit = 0;
  }
}

// What cannot be given back easily: the kubelet's measure for evictions.
void setWorkingSet(berth_stats& stats, uint64_t inactiveFile) {
  stats.memory_working_set =
      stats.memory_usage > inactiveFile ? stats.memory_usage - inactiveFile : 0;
}

void setMemoryLimit(berth_stats& stats, uint64_t limit, uint64_t unlimited) {
  if (limit >= unlimited) return;
  stats.memory_limit = limit;
  stats.present |= BERTH_STATS_MEMORY_LIMIT;
}

void readCpuV1(FileReader& cpuacct, FileReader& cpu, berth_stats& stats) {
  if (cpuacct.number("cpuacct.usage", stats.cpu_usage)) stats.present |= BERTH_STATS_CPU;
  cpuacct.number("cpuacct.usage_user", stats.cpu_user);
  cpuacct.number("cpuacct.usage_sys", stats.cpu_system);
  std::string_view text;
  if (cpu.read("cpu.stat", text)) {
    parseFlat(text, {{"nr_periods", &stats.cpu_periods},
                     {"nr_throttled", &stats.cpu_throttled_periods},
                     {"throttled_time", &stats.cpu_throttled_time}});
  }
}

void readMemoryV1(FileReader& files, berth_stats& stats) {
  if (!files.number("memory.usage_in_bytes", stats.memory_usage)) return;
  stats.present |= BERTH_STATS_MEMORY;
  std::string_view text;
  uint64_t inactiveFile = 0;
  if (files.read("memory.stat", text)) {
    parseFlat(text, {{"total_rss", &stats.memory_rss},
                     {"total_cache", &stats.memory_cache},
                     {"total_mapped_file", &stats.memory_mapped_file},
                     {"total_inactive_file", &inactiveFile},
                     {"total_pgfault", &stats.page_faults},
                     {"total_pgmajfault", &stats.major_page_faults},
                     {"total_swap", &stats.swap_usage}});
  }
  setWorkingSet(stats, inactiveFile);
  files.number("memory.kmem.usage_in_bytes", stats.memory_kernel);
  files.number("memory.max_usage_in_bytes", stats.memory_max_usage);
  files.number("memory.failcnt", stats.memory_failures);
  if (files.read("memory.oom_control", text)) parseFlat(text, {{"oom_kill", &stats.oom_events}});
  uint64_t limit = UINT64_MAX;
  if (files.number("memory.limit_in_bytes", limit)) setMemoryLimit(stats, limit, kUnlimitedV1);
  uint64_t both = 0;
  if (files.number("memory.memsw.limit_in_bytes", both)) {
    stats.present |= BERTH_STATS_SWAP;
    if (both < kUnlimitedV1 && both >= limit) stats.swap_limit = both - limit;
  }
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
  stats.present |= BERTH_STATS_CPU;
  parseFlat(text, {{"usage_usec", &stats.cpu_usage},
                   {"user_usec", &stats.cpu_user},
                   {"system_usec", &stats.cpu_system},
                   {"nr_periods", &stats.cpu_periods},
                   {"nr_throttled", &stats.cpu_throttled_periods},
                   {"throttled_usec", &stats.cpu_throttled_time}});
  for (uint64_t* time :
       {&stats.cpu_usage, &stats.cpu_user, &stats.cpu_system, &stats.cpu_throttled_time}) {
    *time *= 1000;
  }
}

void readMemoryV2(FileReader& files, berth_stats& stats) {
  if (!files.number("memory.current", stats.memory_usage)) return;
  stats.present |= BERTH_STATS_MEMORY;
  std::string_view text;
  uint64_t inactiveFile = 0;
  if (files.read("memory.stat", text)) {
    parseFlat(text, {{"anon", &stats.memory_rss},
                     {"file", &stats.memory_cache},
                     {"kernel", &stats.memory_kernel},
                     {"file_mapped", &stats.memory_mapped_file},
                     {"inactive_file", &inactiveFile},
                     {"pgfault", &stats.page_faults},
                     {"pgmajfault", &stats.major_page_faults}});
  }
  setWorkingSet(stats, inactiveFile);
  files.number("memory.peak", stats.memory_max_usage);
  if (files.read("memory.events", text)) {
    parseFlat(text, {{"max", &stats.memory_failures}, {"oom_kill", &stats.oom_events}});
  }
  uint64_t limit = UINT64_MAX;
  if (files.number("memory.max", limit)) setMemoryLimit(stats, limit, UINT64_MAX);
  if (files.number("memory.swap.current", stats.swap_usage)) stats.present |= BERTH_STATS_SWAP;
  if (files.number("memory.swap.max", limit) && limit != UINT64_MAX) stats.swap_limit = limit;
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

bool CgroupStats::read(berth_stats& stats) {
  stats.present = 0;
  {
    const std::lock_guard lock(mutex_);
    if (unified_) {
      readV2(stats);
    } else {
      readV1(stats);
    }
  }
  stats.timestamp = support::nowNanoseconds();
  return (stats.present & (BERTH_STATS_CPU | BERTH_STATS_MEMORY)) != 0;
}

void CgroupStats::release() {
  const std::lock_guard lock(mutex_);
  for (CgroupFiles* files : {&cpu_, &cpuacct_, &memory_, &pids_, &blkio_, &all_}) {
    files->release();
  }
}

void CgroupStats::readV1(berth_stats& stats) {
  {
    FileReader cpuacct(cpuacct_);
    FileReader cpu(cpu_);
    readCpuV1(cpuacct, cpu, stats);
  }
  {
    FileReader memory(memory_);
    readMemoryV1(memory, stats);
  }
  {
    FileReader pids(pids_);
    readProcesses(pids, stats);
  }
  {
    FileReader blkio(blkio_);
    readIoV1(blkio, stats);
  }
  // In hybrid mode the unified hierarchy has the pressure of the same processes.
  FileReader pressure(all_);
  readPressure(pressure, stats);
}

void CgroupStats::readV2(berth_stats& stats) {
  FileReader files(all_);
  readCpuV2(files, stats);
  readMemoryV2(files, stats);
  readProcesses(files, stats);
  std::string_view text;
  if (files.read("io.stat", text)) {
    stats.present |= BERTH_STATS_IO;
    parseIoStat(text, stats);
  }
  readPressure(files, stats);
}

void addStats(berth_stats& sum, const berth_stats& part) {
  sum.present |= part.present & ~(BERTH_STATS_MEMORY_LIMIT | BERTH_STATS_PSI);
  constexpr uint64_t berth_stats::*kMembers[] = {
      &berth_stats::cpu_usage,
      &berth_stats::cpu_user,
      &berth_stats::cpu_system,
      &berth_stats::cpu_periods,
      &berth_stats::cpu_throttled_periods,
      &berth_stats::cpu_throttled_time,
      &berth_stats::memory_usage,
      &berth_stats::memory_working_set,
      &berth_stats::memory_rss,
      &berth_stats::memory_cache,
      &berth_stats::memory_mapped_file,
      &berth_stats::memory_kernel,
      &berth_stats::memory_failures,
      &berth_stats::page_faults,
      &berth_stats::major_page_faults,
      &berth_stats::swap_usage,
      &berth_stats::processes,
      &berth_stats::threads,
      &berth_stats::io_read_bytes,
      &berth_stats::io_written_bytes,
      &berth_stats::io_reads,
      &berth_stats::io_writes,
      &berth_stats::oom_events,
  };
  for (const auto member : kMembers) sum.*member += part.*member;
  sum.timestamp = part.timestamp;
}

}  // namespace berth::runc
