// What the kubelet serves as metrics (CRI, ListPodSandboxMetrics).
#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "engine/engine.hpp"
#include "engine/metrics/metrics.hpp"
#include "engine/spec/cgroup_location.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;

namespace {

constexpr uint32_t kAllGroups = ~uint32_t{0};
// Pods get the sum of their containers': looking at each process twice would cost twice.
constexpr uint32_t kTaskGroups = BERTH_STATS_DESCRIPTORS | BERTH_STATS_SOCKETS | BERTH_STATS_TASKS;

void addTasks(const berth_stats& part, berth_stats& sum) {
  sum.present |= part.present & kTaskGroups;
  sum.file_descriptors += part.file_descriptors;
  sum.sockets += part.sockets;
  sum.tasks_running += part.tasks_running;
  sum.tasks_sleeping += part.tasks_sleeping;
  sum.tasks_stopped += part.tasks_stopped;
  sum.tasks_uninterruptible += part.tasks_uninterruptible;
}

std::optional<metrics::Load> loadOf(const plugins::Stats& stats, metrics::LoadAverage& average) {
  if (!stats.has(BERTH_STATS_TASKS)) return {};
  return average.add(stats.raw.timestamp, stats.raw.tasks_running, stats.raw.tasks_uninterruptible);
}

template <class T>
const T* pointer(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

}  // namespace

metrics::Labels Engine::labelsOf(const Pod& pod) const {
  metrics::Labels labels;
  pod.peek([&](const records::PodRecord& r) {
    labels.name = r.id();
    labels.podNamespace = r.config().metadata().namespace_();
    labels.pod = r.config().metadata().name();
    auto cgroup = spec::podCgroup(r.config().linux().cgroup_parent(), settings_.cgroupDriver);
    if (cgroup.ok()) labels.id = *std::move(cgroup);
  });
  return labels;
}

void Engine::collectMetrics(Container& container, const plugins::Stats& stats,
                            metrics::Labels labels, const plugins::Operation& op,
                            v1::ContainerMetrics& result) {
  v1::LinuxContainerResources resources;
  std::string snapshotter;
  metrics::Subject subject;
  const std::string cgroupParent = container.pod().peek(
      [](const records::PodRecord& r) { return r.config().linux().cgroup_parent(); });
  container.peek([&](const records::ContainerRecord& r) {
    const v1::ImageSpec& image = r.config().image();
    labels.name = r.id();
    labels.container = r.config().metadata().name();
    labels.image =
        image.user_specified_image().empty() ? image.image() : image.user_specified_image();
    resources = r.resources();
    snapshotter = r.snapshotter();
    subject.createdAt = r.created_at();
    subject.startedAt = r.started_at();
  });
  auto cgroup = spec::containerCgroup(cgroupParent, settings_.cgroupDriver, container.id());
  if (cgroup.ok()) labels.id = *std::move(cgroup);
  std::optional<metrics::Filesystem> filesystem = filesystems_.look(op, snapshotter);
  if (const auto layer = layerUsage(container); layer && filesystem) {
    filesystem->used = layer->usage.bytes;
    filesystem->usedAt = layer->timestamp;
  }
  const std::optional<metrics::Load> load = loadOf(stats, container.load);
  subject.labels = std::move(labels);
  subject.stats = &stats;
  subject.resources = &resources;
  subject.filesystem = pointer(filesystem);
  subject.load = pointer(load);
  subject.now = support::nowNanoseconds();
  result.set_container_id(container.id());
  metrics::collect(subject, *result.mutable_metrics());
}

absl::StatusOr<v1::PodSandboxMetrics> Engine::metricsOf(Pod& pod, const Containers& members,
                                                        const plugins::Operation& op) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(pod));
  BERTH_ASSIGN_OR_RETURN(std::vector<plugins::Stats> found,
                         runtime->podStats(op, pod.id(), kAllGroups & ~kTaskGroups));
  plugins::Stats own = found.empty() ? plugins::Stats() : std::move(found.front());
  const metrics::Labels labels = labelsOf(pod);
  v1::PodSandboxMetrics result;
  result.set_pod_sandbox_id(pod.id());

  const auto readings = readStats(pod, members, op, kAllGroups);
  for (const auto& container : members) {
    const auto reading = readings.find(container->id());
    if (reading == readings.end()) continue;  // it does not run
    addTasks(reading->second.raw, own.raw);
    collectMetrics(*container, reading->second, labels, op, *result.add_container_metrics());
  }

  metrics::Subject subject;
  v1::LinuxContainerResources resources;
  pod.peek([&](const records::PodRecord& r) {
    resources = r.resources();
    subject.createdAt = subject.startedAt = r.created_at();
  });
  const std::optional<metrics::Load> load = loadOf(own, pod.load);
  subject.labels = labels;
  subject.stats = &own;
  subject.resources = &resources;
  subject.load = pointer(load);
  subject.now = support::nowNanoseconds();
  metrics::collect(subject, *result.mutable_metrics());
  return result;
}

std::vector<v1::PodSandboxMetrics> Engine::podSandboxMetrics(const plugins::Operation& op) {
  return onlyKnown(askPods<v1::PodSandboxMetrics>(
      operations_.rounds(), op, readyPods(),
      [this](const PodAndContainers& one, const plugins::Operation& own) {
        return metricsOf(*one.pod, one.containers, own);
      }));
}

}  // namespace berth::engine
