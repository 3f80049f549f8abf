#include "usage_report.hpp"

namespace berth::runc {

void UsageReport::setInterfaces(const std::vector<InterfaceStats>& interfaces) {
  interfaces_.clear();
  for (const InterfaceStats& one : interfaces) {
    interfaces_.push_back(one.counters);
    interfaces_.back().name = str(one.name);
  }
  stats.present |= BERTH_STATS_NETWORK;
}

void UsageReport::setDisks(const std::vector<DiskStats>& disks) {
  disks_.clear();
  for (const DiskStats& one : disks) {
    disks_.push_back(one.counters);
    disks_.back().device = str(one.device);
  }
  stats.present |= BERTH_STATS_DISKS;
}

void UsageReport::setHugepages(const std::vector<HugepageStats>& hugepages) {
  hugepages_.clear();
  for (const HugepageStats& one : hugepages) {
    hugepages_.push_back(one.counters);
    hugepages_.back().page_size = str(one.pageSize);
  }
  if (!hugepages_.empty()) stats.present |= BERTH_STATS_HUGEPAGES;
}

void UsageReport::give(std::string_view id, Runtime::StatsSink& out) {
  stats.id = str(id);
  stats.interfaces = interfaces_.data();
  stats.interface_count = interfaces_.size();
  stats.disks = disks_.data();
  stats.disk_count = disks_.size();
  stats.hugepages = hugepages_.data();
  stats.hugepage_count = hugepages_.size();
  out.add(stats);
}

}  // namespace berth::runc
