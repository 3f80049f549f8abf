#include "extensions.hpp"

#include "berth/support/status.hpp"
#include "cgroup_processes.hpp"
#include "pod_resources.hpp"
#include "runtime_cli.hpp"
#include "runtime_plugin.hpp"

namespace berth::runc {

namespace {

constexpr uint32_t kRevision = 1;

berth_code pause(void* instance, const berth_op* op, berth_str pod, berth_str container,
                 berth_error* error) {
  return detail::guard(
      error, [&] { return RuntimePlugin::of(instance).pause(Op(op), view(pod), view(container)); });
}

berth_code resume(void* instance, const berth_op* op, berth_str pod, berth_str container,
                  berth_error* error) {
  return detail::guard(error, [&] {
    return RuntimePlugin::of(instance).resume(Op(op), view(pod), view(container));
  });
}

berth_code updateResources(void* instance, const berth_op* op, berth_str pod, berth_str resources,
                           berth_str overhead, berth_error* error) {
  return detail::guard(error, [&] {
    return RuntimePlugin::of(instance).updatePodResources(Op(op), view(pod), view(resources),
                                                          view(overhead));
  });
}

berth_code checkCheckpoints(void* instance, const berth_op* /*op*/, berth_error* error) {
  return detail::guard(error, [&] { return RuntimePlugin::of(instance).checkCheckpoints(); });
}

berth_code checkpoint(void* instance, const berth_op* op, const berth_checkpoint_spec* spec,
                      berth_error* error) {
  return detail::guard(
      error, [&] { return RuntimePlugin::of(instance).checkpoint(Op(op), detail::known(spec)); });
}

berth_code restore(void* instance, const berth_op* op, const berth_restore_spec* spec,
                   berth_container_status* status, berth_error* error) {
  return detail::RuntimeCalls::withStatus(status, error, [&](berth_container_status& mine) {
    return RuntimePlugin::of(instance).restore(Op(op), detail::known(spec), mine);
  });
}

constexpr berth_runtime_pause kPause = {
    .size = sizeof(berth_runtime_pause), .pause = &pause, .resume = &resume};
constexpr berth_runtime_pod_resources kPodResources = {.size = sizeof(berth_runtime_pod_resources),
                                                       .update = &updateResources};

constexpr berth_runtime_checkpoint kCheckpoint = {.size = sizeof(berth_runtime_checkpoint),
                                                  .format = BERTH_STR_INIT("criu"),
                                                  .check = &checkCheckpoints,
                                                  .checkpoint = &checkpoint,
                                                  .restore = &restore};

}  // namespace

const void* findExtension(std::string_view id, uint32_t revision) {
  if (revision != kRevision) return nullptr;
  if (id == BERTH_EXTENSION_PAUSE) return &kPause;
  if (id == BERTH_EXTENSION_CHECKPOINT) return &kCheckpoint;
  if (id == BERTH_EXTENSION_POD_RESOURCES) return &kPodResources;
  return nullptr;
}

Status RuntimePlugin::pause(const Op& op, std::string_view pod, std::string_view container) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  const ContainerRecord& record = target->container->record;
  if (isFrozen(*layout_, record.cgroup)) return {};
  return runRuntime(target->pod->record(), {"pause", record.id}, {}, limitsOf(op));
}

Status RuntimePlugin::resume(const Op& op, std::string_view pod, std::string_view container) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  const ContainerRecord& record = target->container->record;
  if (!isFrozen(*layout_, record.cgroup)) return {};
  return runRuntime(target->pod->record(), {"resume", record.id}, {}, limitsOf(op));
}

Status RuntimePlugin::updatePodResources(const Op& /*op*/, std::string_view pod,
                                         std::string_view resources, std::string_view overhead) {
  const auto found = requirePod(pod);
  if (!found.ok()) return found.status();
  return support::annotate(setPodResources(*layout_, (*found)->record(), resources, overhead),
                           support::strCat("update the resources of pod ", pod));
}

}  // namespace berth::runc
