// What containers and pods use.
#include "berth/support/clock.hpp"
#include "berth/support/stats.hpp"
#include "hugepage_stats.hpp"
#include "runtime_plugin.hpp"
#include "task_stats.hpp"
#include "usage_report.hpp"

namespace berth::runc {

namespace {

// What a report of one cgroup borrows.
struct Costly {
  std::vector<DiskStats> disks;
  std::vector<HugepageStats> hugepages;
};

void addCostly(const CgroupLayout& layout, const std::string& cgroup, uint32_t wanted,
               Costly& costly, UsageReport& report) {
  // The same for as long as the kernel runs.
  static const std::vector<std::string> kPageSizes = hugepageSizes();
  if ((wanted & BERTH_STATS_DISKS) != 0) {
    costly.disks = readDisks(layout, cgroup);
    report.setDisks(costly.disks);
  }
  if ((wanted & BERTH_STATS_HUGEPAGES) != 0) {
    costly.hugepages = readHugepages(layout, cgroup, kPageSizes);
    report.setHugepages(costly.hugepages);
  }
}

// A pod without a cgroup of its own uses what its containers use.
void addContainers(const CgroupLayout& layout, Pod& pod, uint32_t wanted, berth_stats& sum) {
  for (const auto& container : pod.containers()) {
    const protocol::ContainerStatus status = pod.status(*container);
    if (status.state != protocol::ContainerState::kRunning) continue;
    berth_stats part{};
    if (!container->stats.read(wanted, part)) continue;
    readTasks(layout, container->record.cgroup, 0, wanted, part);
    support::addStats(sum, part);
  }
}

}  // namespace

Status RuntimePlugin::containerStats(const Op& op, std::string_view pod,
                                     const std::vector<std::string_view>& containers,
                                     StatsSink& out) {
  const std::shared_ptr<Pod> found = pods_.find(pod);
  if (found == nullptr) return {};
  for (const std::string_view id : containers) {
    const auto container = found->find(id);
    if (container == nullptr || op.cancelled()) continue;
    const protocol::ContainerStatus status = found->status(*container);
    if (status.state != protocol::ContainerState::kRunning) continue;
    UsageReport report;
    if (!container->stats.read(out.wanted(), report.stats)) continue;
    Costly costly;
    addCostly(*layout_, container->record.cgroup, out.wanted(), costly, report);
    readTasks(*layout_, container->record.cgroup, status.pid, out.wanted(), report.stats);
    report.give(id, out);
  }
  return {};
}

Status RuntimePlugin::podStats(const Op& /*op*/, std::string_view pod, StatsSink& out) {
  const auto found = requirePod(pod);
  if (!found.ok()) return found.status();
  UsageReport report;
  Costly costly;
  const uint32_t wanted = out.wanted();
  if (CgroupStats* own = (*found)->ownStats(); own != nullptr) {
    (void)own->read(wanted, report.stats);
    addCostly(*layout_, (*found)->ownCgroup(), wanted, costly, report);
    readTasks(*layout_, (*found)->ownCgroup(), 0, wanted, report.stats);
  } else {
    addContainers(*layout_, **found, wanted, report.stats);
  }
  if (report.stats.timestamp == 0) report.stats.timestamp = support::nowNanoseconds();
  std::vector<InterfaceStats> interfaces;
  if ((wanted & BERTH_STATS_NETWORK) != 0 && !(*found)->record().netPin.empty()) {
    if (auto read = (*found)->interfaces(); read.ok()) {
      interfaces = *std::move(read);
      report.setInterfaces(interfaces);
    }
  }
  report.give(pod, out);
  return {};
}

}  // namespace berth::runc
