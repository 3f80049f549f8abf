// A container of which everything is known.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/metrics/metrics.hpp"

namespace berth::metrics {

using Metrics = google::protobuf::RepeatedPtrField<runtime::v1::Metric>;

constexpr int64_t kSecond = 1'000'000'000;

struct KnownSubject {
  KnownSubject() {
    stats.raw.present = ~uint32_t{0};
    stats.interfaces.push_back({"eth0", {}});
    stats.disks.push_back({"/dev/sda", {}});
    stats.disks.back().raw.major = 8;
    stats.disks.back().raw.present = BERTH_DISK_SYNC | BERTH_DISK_SCHEDULER | BERTH_DISK_COST;
    stats.hugePages.push_back({"2MB", {}});
    stats.hugePages.back().raw.max_usage = 1;
    stats.raw.memory_max_usage = 1;
    stats.raw.open_files_limit = 1024;
    resources.set_cpu_quota(50'000);
    filesystem.device = "/dev/sda1";
    filesystem.used = 4096;
    filesystem.usedAt = 77 * kSecond;
    subject.labels = {"app", "/kubepods/pod1/c1", "registry.example/app:1", "c1", "shop", "web-0"};
    subject.stats = &stats;
    subject.resources = &resources;
    subject.filesystem = &filesystem;
    subject.load = &load;
    subject.now = 100 * kSecond;
    subject.createdAt = 10 * kSecond;
    subject.startedAt = 11 * kSecond + 999'999'999;
  }
  KnownSubject(const KnownSubject&) = delete;
  KnownSubject& operator=(const KnownSubject&) = delete;

  Metrics collected() const {
    Metrics metrics;
    collect(subject, metrics);
    return metrics;
  }
  // The metrics of a name, each by the values of its own labels.
  std::map<std::vector<std::string>, runtime::v1::Metric> named(const std::string& name) const {
    std::map<std::vector<std::string>, runtime::v1::Metric> found;
    for (const runtime::v1::Metric& metric : collected()) {
      if (metric.name() != name) continue;
      const std::vector<std::string> labels(metric.label_values().begin() + 6,
                                            metric.label_values().end());
      found[labels] = metric;
    }
    return found;
  }
  // Of a metric that is there once.
  uint64_t value(const std::string& name, const std::vector<std::string>& labels = {}) const {
    const auto found = named(name);
    const auto one = found.find(labels);
    return one == found.end() ? UINT64_MAX : one->second.value().value();
  }

  plugins::Stats stats;
  runtime::v1::LinuxContainerResources resources;
  Filesystem filesystem;
  Load load;
  Subject subject;
};

}  // namespace berth::metrics
