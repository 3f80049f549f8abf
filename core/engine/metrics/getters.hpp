// How a row of the table gets its values.
#pragma once

#include <string>

#include "berth/support/status.hpp"
#include "engine/metrics/table.hpp"

namespace berth::metrics {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kMicrosecondsPerSecond = 1'000'000;

// One number of berth_stats, when its group is there.
template <uint64_t berth_stats::*Member, uint32_t Group, uint64_t PerUnit = 1>
void number(const Subject& subject, Values& values) {
  if (subject.has(Group)) values.add(subject.raw().*Member / PerUnit);
}

// Of the CPU's bandwidth control: it has nothing to count without a quota.
template <uint64_t berth_stats::*Member, uint64_t PerUnit = 1>
void quota(const Subject& subject, Values& values) {
  if (subject.resources == nullptr || subject.resources->cpu_quota() <= 0) return;
  number<Member, BERTH_STATS_CPU_DETAIL, PerUnit>(subject, values);
}

template <berth_psi berth_stats::*Resource, uint64_t berth_psi::*Total>
void pressure(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_PSI)) return;
  values.add(subject.raw().*Resource.*Total / kMicrosecondsPerSecond);
}

template <uint64_t berth_interface_stats::*Member>
void perInterface(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_NETWORK)) return;
  for (const plugins::Stats::Interface& one : subject.stats->interfaces) {
    values.add(one.raw.*Member, {one.name});
  }
}

inline std::string deviceLabel(const plugins::Stats::Disk& disk) {
  return disk.device.empty() ? support::strCat(disk.raw.major, ":", disk.raw.minor) : disk.device;
}

// For each disk whose kernel counts it (BERTH_DISK_; 0: all do).
template <uint64_t berth_disk_stats::*Member, uint32_t Part = 0, uint64_t PerUnit = 1>
void perDisk(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_DISKS)) return;
  for (const plugins::Stats::Disk& disk : subject.stats->disks) {
    if ((disk.raw.present & Part) != Part) continue;
    values.add(disk.raw.*Member / PerUnit, {deviceLabel(disk)});
  }
}

template <uint64_t berth_hugepage_stats::*Member>
void perPageSize(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_HUGEPAGES)) return;
  for (const plugins::Stats::HugePages& one : subject.stats->hugePages) {
    values.add(one.raw.*Member, {one.pageSize});
  }
}

template <uint64_t Filesystem::*Member>
void perFilesystem(const Subject& subject, Values& values) {
  if (subject.filesystem == nullptr) return;
  values.add(subject.filesystem->*Member, {subject.filesystem->device});
}

// A time in seconds since 1970.
template <int64_t Subject::*Member>
void time(const Subject& subject, Values& values) {
  if (subject.*Member > 0) {
    values.add(static_cast<uint64_t>(subject.*Member) / kNanosecondsPerSecond);
  }
}

}  // namespace berth::metrics
