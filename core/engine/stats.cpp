// Usage of containers and pods.
#include <map>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr int64_t kSecond = 1'000'000'000;
// How long the usage of a writable layer is good for: finding it out walks the layer.
constexpr int64_t kLayerUsageAge = 10 * kSecond;
// The least time between two readings of which a rate is made.
constexpr int64_t kRateTime = kSecond / 2;

void setPsi(v1::PsiStats& target, double someAvg10, double someAvg60, double someAvg300,
            uint64_t someTotal, double fullAvg10, double fullAvg60, double fullAvg300,
            uint64_t fullTotal) {
  v1::PsiData* some = target.mutable_some();
  some->set_total(someTotal);
  some->set_avg10(someAvg10);
  some->set_avg60(someAvg60);
  some->set_avg300(someAvg300);
  v1::PsiData* full = target.mutable_full();
  full->set_total(fullTotal);
  full->set_avg10(fullAvg10);
  full->set_avg60(fullAvg60);
  full->set_avg300(fullAvg300);
}

void setPsi(v1::PsiStats& target, const berth_psi& psi) {
  setPsi(target, psi.some_avg10, psi.some_avg60, psi.some_avg300, psi.some_total, psi.full_avg10,
         psi.full_avg60, psi.full_avg300, psi.full_total);
}

// What containers and pods have in common.
template <class Target>
void setCpuMemoryIo(Target& target, const berth_stats& raw) {
  if ((raw.present & BERTH_STATS_CPU) != 0) {
    target.mutable_cpu()->set_timestamp(raw.timestamp);
    target.mutable_cpu()->mutable_usage_core_nano_seconds()->set_value(raw.cpu_usage);
  }
  if ((raw.present & BERTH_STATS_MEMORY) != 0) {
    v1::MemoryUsage* memory = target.mutable_memory();
    memory->set_timestamp(raw.timestamp);
    memory->mutable_working_set_bytes()->set_value(raw.memory_working_set);
    memory->mutable_usage_bytes()->set_value(raw.memory_usage);
    memory->mutable_rss_bytes()->set_value(raw.memory_rss);
    memory->mutable_page_faults()->set_value(raw.page_faults);
    memory->mutable_major_page_faults()->set_value(raw.major_page_faults);
    const bool limited = (raw.present & BERTH_STATS_MEMORY_LIMIT) != 0;
    memory->mutable_available_bytes()->set_value(limited &&
                                                         raw.memory_limit > raw.memory_working_set
                                                     ? raw.memory_limit - raw.memory_working_set
                                                     : 0);
  }
  if ((raw.present & BERTH_STATS_PSI) != 0) {
    setPsi(*target.mutable_cpu()->mutable_psi(), raw.cpu_psi);
    setPsi(*target.mutable_memory()->mutable_psi(), raw.memory_psi);
    target.mutable_io()->set_timestamp(raw.timestamp);
    setPsi(*target.mutable_io()->mutable_psi(), raw.io_psi);
  }
}

void setInterface(v1::NetworkInterfaceUsage& target, const plugins::Stats::Interface& given) {
  target.set_name(given.name);
  target.mutable_rx_bytes()->set_value(given.raw.rx_bytes);
  target.mutable_rx_errors()->set_value(given.raw.rx_errors);
  target.mutable_tx_bytes()->set_value(given.raw.tx_bytes);
  target.mutable_tx_errors()->set_value(given.raw.tx_errors);
}

template <class Map>
bool matches(const Map& selector, const Map& labels) {
  for (const auto& [key, value] : selector) {
    auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace

v1::ContainerStats Engine::toStats(Container& container, const plugins::Stats* stats,
                                   const plugins::Operation& op) {
  const records::ContainerRecord record = container.record();
  v1::ContainerStats result;
  v1::ContainerAttributes* attributes = result.mutable_attributes();
  attributes->set_id(record.id());
  *attributes->mutable_metadata() = record.config().metadata();
  *attributes->mutable_labels() = record.config().labels();
  *attributes->mutable_annotations() = record.config().annotations();

  std::lock_guard lock(container.statsMutex);
  if (stats != nullptr) {
    setCpuMemoryIo(result, stats->raw);
    if ((stats->raw.present & BERTH_STATS_SWAP) != 0) {
      v1::SwapUsage* swap = result.mutable_swap();
      swap->set_timestamp(stats->raw.timestamp);
      swap->mutable_swap_usage_bytes()->set_value(stats->raw.swap_usage);
      swap->mutable_swap_available_bytes()->set_value(stats->raw.swap_limit > stats->raw.swap_usage
                                                          ? stats->raw.swap_limit -
                                                                stats->raw.swap_usage
                                                          : 0);
    }
    Container::CpuSample& last = container.cpuSample;
    const int64_t passed = stats->raw.timestamp - last.timestamp;
    if (last.timestamp == 0 || passed >= kRateTime) {
      if (last.timestamp != 0 && stats->raw.cpu_usage >= last.usage) {
        last.nanoCores =
            static_cast<uint64_t>(static_cast<double>(stats->raw.cpu_usage - last.usage) *
                                  static_cast<double>(kSecond) / static_cast<double>(passed));
      }
      last.timestamp = stats->raw.timestamp;
      last.usage = stats->raw.cpu_usage;
    }
    result.mutable_cpu()->mutable_usage_nano_cores()->set_value(last.nanoCores);
  }

  const int64_t now = support::nowNanoseconds();
  if (now - container.layerUsageAt > kLayerUsageAge) {
    auto usage = writableUsage(op, record);
    if (usage.ok()) {
      container.layerUsage = *usage;
      container.layerUsageAt = now;
    }
  }
  v1::FilesystemUsage* layer = result.mutable_writable_layer();
  layer->set_timestamp(container.layerUsageAt);
  layer->mutable_fs_id()->set_mountpoint(settings_.root);
  layer->mutable_used_bytes()->set_value(container.layerUsage.bytes);
  layer->mutable_inodes_used()->set_value(container.layerUsage.inodes);
  return result;
}

std::vector<v1::ContainerStats> Engine::statsOf(
    const std::vector<std::shared_ptr<Container>>& containers, const plugins::Operation& op) {
  std::map<std::string, std::vector<std::string>> byPod;
  std::map<std::string, const Pod*> pods;
  for (const auto& container : containers) {
    if (container->state() != v1::CONTAINER_RUNNING) continue;
    byPod[container->pod().id()].push_back(container->id());
    pods[container->pod().id()] = &container->pod();
  }
  std::map<std::string, plugins::Stats> readings;
  for (const auto& [id, ids] : byPod) {
    auto runtime = runtimeOf(*pods[id]);
    if (!runtime.ok()) continue;
    auto stats = (*runtime)->containerStats(op, id, ids);
    if (!stats.ok()) continue;  // it ended between the list and now
    for (plugins::Stats& one : *stats) readings[one.id] = std::move(one);
  }
  std::vector<v1::ContainerStats> result;
  for (const auto& container : containers) {
    auto reading = readings.find(container->id());
    result.push_back(
        toStats(*container, reading == readings.end() ? nullptr : &reading->second, op));
  }
  return result;
}

absl::StatusOr<v1::ContainerStats> Engine::containerStats(const std::string& id,
                                                          Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  plugins::Operation op(strCat("ContainerStats ", container->id()), deadline);
  return statsOf({container}, op).front();
}

std::vector<v1::ContainerStats> Engine::listContainerStats(const v1::ContainerStatsFilter& filter,
                                                           Deadline deadline) {
  std::vector<std::shared_ptr<Container>> wanted;
  for (const auto& container : containers()) {
    const bool taken = container->peek([&](const records::ContainerRecord& r) {
      return r.state() == v1::CONTAINER_RUNNING &&
             r.id().compare(0, filter.id().size(), filter.id()) == 0 &&
             r.pod_id().compare(0, filter.pod_sandbox_id().size(), filter.pod_sandbox_id()) == 0 &&
             matches(filter.label_selector(), r.config().labels());
    });
    if (taken) wanted.push_back(container);
  }
  plugins::Operation op("ListContainerStats", deadline);
  return statsOf(wanted, op);
}

absl::StatusOr<v1::PodSandboxStats> Engine::statsOf(Pod& pod, const plugins::Operation& op) {
  const records::PodRecord record = pod.record();
  v1::PodSandboxStats result;
  v1::PodSandboxAttributes* attributes = result.mutable_attributes();
  attributes->set_id(record.id());
  *attributes->mutable_metadata() = record.config().metadata();
  *attributes->mutable_labels() = record.config().labels();
  *attributes->mutable_annotations() = record.config().annotations();

  v1::LinuxPodSandboxStats* linux = result.mutable_linux();
  if (record.state() == records::POD_READY) {
    BERTH_ASSIGN_OR_RETURN(plugins::Runtime * runtime, runtimeOf(pod));
    BERTH_ASSIGN_OR_RETURN(const std::vector<plugins::Stats> stats,
                           runtime->podStats(op, pod.id()));
    for (const plugins::Stats& one : stats) {
      setCpuMemoryIo(*linux, one.raw);
      if ((one.raw.present & BERTH_STATS_PROCESSES) != 0) {
        linux->mutable_process()->set_timestamp(one.raw.timestamp);
        linux->mutable_process()->mutable_process_count()->set_value(one.raw.processes);
      }
      if (one.interfaces.empty()) continue;
      linux->mutable_network()->set_timestamp(one.raw.timestamp);
      for (const plugins::Stats::Interface& interface : one.interfaces) {
        if (interface.name == "lo") continue;
        const bool first = !linux->network().has_default_interface();
        setInterface(first ? *linux->mutable_network()->mutable_default_interface()
                           : *linux->mutable_network()->add_interfaces(),
                     interface);
      }
    }
  }
  for (v1::ContainerStats& container : statsOf(containersOf(pod.id()), op)) {
    *linux->add_containers() = std::move(container);
  }
  return result;
}

absl::StatusOr<v1::PodSandboxStats> Engine::podSandboxStats(const std::string& id,
                                                            Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(id));
  plugins::Operation op(strCat("PodSandboxStats ", pod->id()), deadline);
  return statsOf(*pod, op);
}

std::vector<v1::PodSandboxStats> Engine::listPodSandboxStats(
    const v1::PodSandboxStatsFilter& filter, Deadline deadline) {
  plugins::Operation op("ListPodSandboxStats", deadline);
  std::vector<v1::PodSandboxStats> result;
  for (const auto& pod : pods()) {
    const bool taken = pod->peek([&](const records::PodRecord& r) {
      return r.state() == records::POD_READY &&
             r.id().compare(0, filter.id().size(), filter.id()) == 0 &&
             matches(filter.label_selector(), r.config().labels());
    });
    if (!taken) continue;
    auto stats = statsOf(*pod, op);
    if (stats.ok()) result.push_back(*std::move(stats));
  }
  return result;
}

}  // namespace berth::engine
