// Usage of containers and pods (CRI, ContainerStats, PodSandboxStats).
#include <map>
#include <unordered_map>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/filter.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// What the CRI's messages have a place for.
constexpr uint32_t kContainerGroups = BERTH_STATS_CPU | BERTH_STATS_MEMORY |
                                      BERTH_STATS_MEMORY_LIMIT | BERTH_STATS_SWAP |
                                      BERTH_STATS_SWAP_LIMIT | BERTH_STATS_PSI;
constexpr uint32_t kPodGroups = BERTH_STATS_CPU | BERTH_STATS_MEMORY | BERTH_STATS_MEMORY_LIMIT |
                                BERTH_STATS_PSI | BERTH_STATS_PROCESSES | BERTH_STATS_NETWORK;

// The interface that a pod's address is on, as CNI and the kubelet have it.
constexpr std::string_view kDefaultInterface = "eth0";

uint64_t below(uint64_t limit, uint64_t usage) {
  return limit > usage ? limit - usage : 0;
}

void setPsi(v1::PsiStats& target, const berth_psi& psi) {
  constexpr uint64_t kNanoseconds = 1000;  // of a microsecond
  v1::PsiData* some = target.mutable_some();
  some->set_total(psi.some_total * kNanoseconds);
  some->set_avg10(psi.some_avg10);
  some->set_avg60(psi.some_avg60);
  some->set_avg300(psi.some_avg300);
  v1::PsiData* full = target.mutable_full();
  full->set_total(psi.full_total * kNanoseconds);
  full->set_avg10(psi.full_avg10);
  full->set_avg60(psi.full_avg60);
  full->set_avg300(psi.full_avg300);
}

void setCpu(v1::CpuUsage& target, const berth_stats& raw, CpuRate& rate) {
  target.set_timestamp(raw.timestamp);
  target.mutable_usage_core_nano_seconds()->set_value(raw.cpu_usage);
  if (const auto nanoCores = rate.add(raw.timestamp, raw.cpu_usage)) {
    target.mutable_usage_nano_cores()->set_value(*nanoCores);
  }
}

void setMemory(v1::MemoryUsage& target, const plugins::Stats& stats) {
  const berth_stats& raw = stats.raw;
  target.set_timestamp(raw.timestamp);
  target.mutable_working_set_bytes()->set_value(raw.memory_working_set);
  target.mutable_usage_bytes()->set_value(raw.memory_usage);
  target.mutable_rss_bytes()->set_value(raw.memory_rss);
  target.mutable_page_faults()->set_value(raw.page_faults);
  target.mutable_major_page_faults()->set_value(raw.major_page_faults);
  // Without a limit there is no such number; like its peers Berth then says 0.
  const bool limited = stats.has(BERTH_STATS_MEMORY_LIMIT);
  target.mutable_available_bytes()->set_value(
      limited ? below(raw.memory_limit, raw.memory_working_set) : 0);
}

void setSwap(v1::SwapUsage& target, const plugins::Stats& stats) {
  const berth_stats& raw = stats.raw;
  target.set_timestamp(raw.timestamp);
  target.mutable_swap_usage_bytes()->set_value(raw.swap_usage);
  if (!stats.has(BERTH_STATS_SWAP_LIMIT)) return;
  target.mutable_swap_available_bytes()->set_value(below(raw.swap_limit, raw.swap_usage));
}

// What containers and pods have in common.
template <class Target>
void setUsage(Target& target, const plugins::Stats& stats, CpuRate& rate) {
  if (stats.has(BERTH_STATS_CPU)) setCpu(*target.mutable_cpu(), stats.raw, rate);
  if (stats.has(BERTH_STATS_MEMORY)) setMemory(*target.mutable_memory(), stats);
  if (!stats.has(BERTH_STATS_PSI)) return;
  if (target.has_cpu()) setPsi(*target.mutable_cpu()->mutable_psi(), stats.raw.cpu_psi);
  if (target.has_memory()) setPsi(*target.mutable_memory()->mutable_psi(), stats.raw.memory_psi);
  target.mutable_io()->set_timestamp(stats.raw.timestamp);
  setPsi(*target.mutable_io()->mutable_psi(), stats.raw.io_psi);
}

void setInterface(v1::NetworkInterfaceUsage& target, const plugins::Stats::Interface& given) {
  target.set_name(given.name);
  target.mutable_rx_bytes()->set_value(given.raw.rx_bytes);
  target.mutable_rx_errors()->set_value(given.raw.rx_errors);
  target.mutable_tx_bytes()->set_value(given.raw.tx_bytes);
  target.mutable_tx_errors()->set_value(given.raw.tx_errors);
}

// The others are listed apart from the default one (CRI, NetworkUsage.interfaces).
void setNetwork(v1::NetworkUsage& target, const plugins::Stats& stats) {
  std::vector<const plugins::Stats::Interface*> interfaces;
  for (const plugins::Stats::Interface& one : stats.interfaces) {
    if (one.name != "lo") interfaces.push_back(&one);
  }
  target.set_timestamp(stats.raw.timestamp);
  if (interfaces.empty()) return;
  auto standard = std::find_if(interfaces.begin(), interfaces.end(),
                               [](const auto* one) { return one->name == kDefaultInterface; });
  if (standard == interfaces.end()) standard = interfaces.begin();
  setInterface(*target.mutable_default_interface(), **standard);
  for (const plugins::Stats::Interface* one : interfaces) {
    if (one != *standard) setInterface(*target.add_interfaces(), *one);
  }
}

template <class Attributes, class Record>
void setAttributes(Attributes& target, const Record& record) {
  target.set_id(record.id());
  *target.mutable_metadata() = record.config().metadata();
  *target.mutable_labels() = record.config().labels();
  *target.mutable_annotations() = record.config().annotations();
}

}  // namespace

void tellUnread(const Pod& pod, const absl::Status& status) {
  if (absl::IsNotFound(status)) return;
  common::logWarning("the figures of a pod cannot be read",
                     {{"pod", pod.id()}, {"error", support::fromAbsl(status.message())}});
}

Engine::Readings Engine::readStats(const Pod& pod, const Containers& containers,
                                   const plugins::Operation& op, uint32_t wanted) const {
  Readings readings;
  std::vector<std::string> ids;
  for (const auto& container : containers) {
    if (container->state() == v1::CONTAINER_RUNNING) ids.push_back(container->id());
  }
  if (ids.empty()) return readings;
  const auto runtime = runtimeOf(pod);
  if (!runtime.ok()) return readings;
  auto stats = (*runtime)->containerStats(op, pod.id(), ids, wanted);
  if (!stats.ok()) {
    tellUnread(pod, stats.status());
    return readings;
  }
  for (plugins::Stats& one : *stats) {
    std::string id = one.id;
    readings.emplace(std::move(id), std::move(one));
  }
  return readings;
}

std::optional<LayerUsages::Reading> Engine::layerUsage(const Container& container) {
  const std::string snapshotter =
      container.peek([](const records::ContainerRecord& record) { return record.snapshotter(); });
  return layerUsages_.get(container.id(), snapshotter,
                          container.state() == v1::CONTAINER_EXITED
                              ? LayerUsages::Content::kFinal
                              : LayerUsages::Content::kChanging);
}

absl::StatusOr<plugins::Usage> Engine::measureLayer(const plugins::Operation& op,
                                                    const std::string& id) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  return writableUsage(op, container->record());
}

v1::ContainerStats Engine::toStats(Container& container, const plugins::Stats* stats,
                                   const plugins::Operation& op) {
  v1::ContainerStats result;
  std::string snapshotter;
  container.peek([&](const records::ContainerRecord& record) {
    setAttributes(*result.mutable_attributes(), record);
    snapshotter = record.snapshotter();
  });
  if (stats != nullptr) {
    setUsage(result, *stats, container.cpuRate);
    if (stats->has(BERTH_STATS_SWAP)) setSwap(*result.mutable_swap(), *stats);
  }
  const auto layer = layerUsage(container);
  if (!layer) return result;
  v1::FilesystemUsage* usage = result.mutable_writable_layer();
  usage->set_timestamp(layer->timestamp);
  usage->mutable_fs_id()->set_mountpoint(filesystems_.directory(op, snapshotter));
  usage->mutable_used_bytes()->set_value(layer->usage.bytes);
  usage->mutable_inodes_used()->set_value(layer->usage.inodes);
  return result;
}

std::vector<v1::ContainerStats> Engine::statsOfAll(const Pod& pod, const Containers& containers,
                                                   const plugins::Operation& op) {
  const auto readings = readStats(pod, containers, op, kContainerGroups);
  std::vector<v1::ContainerStats> result;
  result.reserve(containers.size());
  for (const auto& container : containers) {
    const auto reading = readings.find(container->id());
    result.push_back(
        toStats(*container, reading == readings.end() ? nullptr : &reading->second, op));
  }
  return result;
}

absl::StatusOr<v1::ContainerStats> Engine::containerStats(const std::string& id,
                                                          plugins::Operation& op) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  if (container->state() != v1::CONTAINER_RUNNING) return toStats(*container, nullptr, op);
  const Pod& pod = container->pod();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
  const auto stats = runtime->containerStats(op, pod.id(), {container->id()}, kContainerGroups);
  // It may have ended meanwhile.
  if (!stats.ok() && container->state() == v1::CONTAINER_RUNNING) return stats.status();
  const bool known = stats.ok() && !stats->empty();
  return toStats(*container, known ? &stats->front() : nullptr, op);
}

std::vector<v1::ContainerStats> Engine::listContainerStats(const v1::ContainerStatsFilter& filter,
                                                           plugins::Operation& op) {
  std::map<std::string, PodAndContainers> wanted;  // by pod
  for (const auto& container : containers()) {
    const bool taken = container->visible() && container->peek([&](const auto& r) {
      return matchesId(filter.id(), r.id()) && matchesId(filter.pod_sandbox_id(), r.pod_id()) &&
             matchesLabels(filter.label_selector(), r.config().labels());
    });
    if (!taken) continue;
    PodAndContainers& one = wanted[container->pod().id()];
    one.pod = container->pod().shared_from_this();
    one.containers.push_back(container);
  }
  std::vector<PodAndContainers> asked;
  for (auto& [pod, one] : wanted) asked.push_back(std::move(one));
  auto answers = askPods<std::vector<v1::ContainerStats>>(
      operations_.rounds(), op, asked,
      [this](const PodAndContainers& one,
             const plugins::Operation& own) -> absl::StatusOr<std::vector<v1::ContainerStats>> {
        return statsOfAll(*one.pod, one.containers, own);
      });
  std::vector<v1::ContainerStats> result;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (answers[i].ok()) {
      std::move(answers[i]->begin(), answers[i]->end(), std::back_inserter(result));
      continue;
    }
    // They are there all the same, without figures.
    for (const auto& container : asked[i].containers)
      result.push_back(toStats(*container, nullptr, op));
  }
  return result;
}

absl::StatusOr<v1::PodSandboxStats> Engine::statsOf(Pod& pod, const Containers& members,
                                                    const plugins::Operation& op) {
  v1::PodSandboxStats result;
  const bool ready = pod.peek([&](const records::PodRecord& record) {
    setAttributes(*result.mutable_attributes(), record);
    return record.state() == records::POD_READY;
  });
  v1::LinuxPodSandboxStats* linux = result.mutable_linux();
  if (ready) {
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
    BERTH_ASSIGN_OR_RETURN(const std::vector<plugins::Stats> stats,
                           runtime->podStats(op, pod.id(), kPodGroups));
    for (const plugins::Stats& one : stats) {
      setUsage(*linux, one, pod.cpuRate);
      if (one.has(BERTH_STATS_PROCESSES)) {
        linux->mutable_process()->set_timestamp(one.raw.timestamp);
        linux->mutable_process()->mutable_process_count()->set_value(one.raw.processes);
      }
      if (one.has(BERTH_STATS_NETWORK)) setNetwork(*linux->mutable_network(), one);
    }
  }
  Containers made = members;
  std::erase_if(made, [](const auto& container) { return !container->visible(); });
  for (v1::ContainerStats& container : statsOfAll(pod, made, op)) {
    *linux->add_containers() = std::move(container);
  }
  return result;
}

absl::StatusOr<v1::PodSandboxStats> Engine::podSandboxStats(const std::string& id,
                                                            plugins::Operation& op) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(id));
  return statsOf(*pod, containersOf(pod->id()), op);
}

std::vector<v1::PodSandboxStats> Engine::listPodSandboxStats(
    const v1::PodSandboxStatsFilter& filter, plugins::Operation& op) {
  std::vector<PodAndContainers> wanted = readyPods();
  std::erase_if(wanted, [&](const PodAndContainers& one) {
    return !one.pod->peek([&](const records::PodRecord& r) {
      return matchesId(filter.id(), r.id()) &&
             matchesLabels(filter.label_selector(), r.config().labels());
    });
  });
  return onlyKnown(askPods<v1::PodSandboxStats>(
      operations_.rounds(), op, std::move(wanted),
      [this](const PodAndContainers& one, const plugins::Operation& own) {
        return statsOf(*one.pod, one.containers, own);
      }));
}

}  // namespace berth::engine
