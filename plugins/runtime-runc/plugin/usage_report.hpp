// The usage of a container or a pod on its way to the host.
#pragma once

#include <string_view>
#include <vector>

#include "berth/runtime.hpp"
#include "disk_stats.hpp"
#include "hugepage_stats.hpp"
#include "network_stats.hpp"

namespace berth::runc {

// berth_stats with the arrays it points to. What is set is borrowed until it has been given.
class UsageReport {
 public:
  berth_stats stats{};

  void setInterfaces(const std::vector<InterfaceStats>& interfaces);
  void setDisks(const std::vector<DiskStats>& disks);
  void setHugepages(const std::vector<HugepageStats>& hugepages);
  void give(std::string_view id, Runtime::StatsSink& out);

 private:
  std::vector<berth_interface_stats> interfaces_;
  std::vector<berth_disk_stats> disks_;
  std::vector<berth_hugepage_stats> hugepages_;
};

}  // namespace berth::runc
