#include "disk_stats.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "cgroup_text.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr uint64_t kMicrosecond = 1000;

using Number = std::pair<uint32_t, uint32_t>;  // major, minor
using Disks = std::map<Number, berth_disk_stats>;

bool parseDevice(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [colon, error] = std::from_chars(text.data(), end, number.first);
  if (error != std::errc() || colon == end || *colon != ':') return false;
  const auto [stop, second] = std::from_chars(colon + 1, end, number.second);
  return second == std::errc() && stop == end;
}

struct DiskMember {
  std::string_view key;
  uint64_t berth_disk_stats::*value;
  uint64_t unit = 1;
  uint32_t present = 0;
};

// cgroup v2: "8:0 rbytes=1 wbytes=2 rios=3 …", a line for each disk.
void parseIoStat(std::string_view text, Disks& disks) {
  static constexpr DiskMember kMembers[] = {
      {"rbytes", &berth_disk_stats::read_bytes},
      {"wbytes", &berth_disk_stats::written_bytes},
      {"dbytes", &berth_disk_stats::discarded_bytes},
      {"rios", &berth_disk_stats::reads},
      {"wios", &berth_disk_stats::writes},
      {"cost.usage", &berth_disk_stats::cost_usage, kMicrosecond, BERTH_DISK_COST},
      {"cost.wait", &berth_disk_stats::cost_wait, kMicrosecond, BERTH_DISK_COST},
      {"cost.indebt", &berth_disk_stats::cost_debt, kMicrosecond, BERTH_DISK_COST},
      {"cost.indelay", &berth_disk_stats::cost_delay, kMicrosecond, BERTH_DISK_COST},
  };
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    Number number;
    if (!parseDevice(cut(line, ' '), number)) continue;
    berth_disk_stats& disk = disks[number];
    while (!line.empty()) {
      std::string_view value = cut(line, ' ');
      const std::string_view key = cut(value, '=');
      uint64_t count = 0;
      if (!parseNumber(value, count)) continue;
      for (const DiskMember& member : kMembers) {
        if (member.key != key) continue;
        disk.*member.value = count * member.unit;
        disk.present |= member.present;
      }
    }
  }
}

// cgroup v1: "8:0 Read 1", "8:0 Write 2", …, and "Total 3" at the end.
void parseOperations(std::string_view text, std::initializer_list<DiskMember> members,
                     Disks& disks) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    Number number;
    if (!parseDevice(cut(line, ' '), number)) continue;
    const std::string_view operation = cut(line, ' ');
    uint64_t count = 0;
    if (!parseNumber(line, count)) continue;
    for (const DiskMember& member : members) {
      if (member.key != operation) continue;
      disks[number].*member.value = count;
      disks[number].present |= member.present;
    }
  }
}

void readOperations(const std::string& file, std::initializer_list<DiskMember> members,
                    Disks& disks) {
  if (const auto text = support::readFile(file); text.ok()) {
    parseOperations(*text, members, disks);
  }
}

void readV1(const std::string& directory, Disks& disks) {
  readOperations(strCat(directory, "/blkio.throttle.io_service_bytes_recursive"),
                 {{"Read", &berth_disk_stats::read_bytes},
                  {"Write", &berth_disk_stats::written_bytes},
                  {"Discard", &berth_disk_stats::discarded_bytes},
                  {"Sync", &berth_disk_stats::sync_bytes, 1, BERTH_DISK_SYNC},
                  {"Async", &berth_disk_stats::async_bytes, 1, BERTH_DISK_SYNC}},
                 disks);
  readOperations(strCat(directory, "/blkio.throttle.io_serviced_recursive"),
                 {{"Read", &berth_disk_stats::reads}, {"Write", &berth_disk_stats::writes}}, disks);
  // Of the scheduler that disks with proportional weights have; the files of kernels before Linux 5
  // have names without its own.
  for (const char* scheduler : {"/blkio.bfq", "/blkio"}) {
    const std::string prefix = strCat(directory, scheduler);
    readOperations(strCat(prefix, ".io_merged_recursive"),
                   {{"Read", &berth_disk_stats::reads_merged, 1, BERTH_DISK_SCHEDULER},
                    {"Write", &berth_disk_stats::writes_merged, 1, BERTH_DISK_SCHEDULER}},
                   disks);
    readOperations(strCat(prefix, ".io_service_time_recursive"),
                   {{"Read", &berth_disk_stats::read_time, 1, BERTH_DISK_SCHEDULER},
                    {"Write", &berth_disk_stats::write_time, 1, BERTH_DISK_SCHEDULER}},
                   disks);
    readOperations(strCat(prefix, ".io_queued_recursive"),
                   {{"Total", &berth_disk_stats::queued, 1, BERTH_DISK_SCHEDULER}}, disks);
  }
}

std::string deviceName(const Number& number) {
  const std::string link = strCat("/sys/dev/block/", number.first, ":", number.second);
  char target[512];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  if (size <= 0) return {};
  const std::string_view path(target, static_cast<size_t>(size));
  std::string name = strCat("/dev/", path.substr(path.rfind('/') + 1));
  // As the kernel writes the slashes of names such as "cciss/c0d0".
  std::replace(name.begin(), name.end(), '!', '/');
  return name;
}

bool used(const berth_disk_stats& disk) {
  return (disk.read_bytes | disk.written_bytes | disk.discarded_bytes | disk.reads | disk.writes |
          disk.queued) != 0;
}

}  // namespace

std::vector<DiskStats> readDisks(const CgroupLayout& layout, const std::string& path) {
  Disks disks;
  if (layout.mode() == CgroupMode::kUnified) {
    const auto text = support::readFile(strCat(layout.unifiedDirectory(path), "/io.stat"));
    if (text.ok()) parseIoStat(*text, disks);
  } else if (const std::string directory = layout.directory("blkio", path); !directory.empty()) {
    readV1(directory, disks);
  }
  std::vector<DiskStats> result;
  for (auto& [number, counters] : disks) {
    if (!used(counters)) continue;
    counters.size = sizeof counters;
    counters.major = number.first;
    counters.minor = number.second;
    result.push_back({deviceName(number), counters});
  }
  return result;
}

}  // namespace berth::runc
