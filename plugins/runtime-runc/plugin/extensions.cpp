// What the plugin offers beyond the runtime interface.
#include "berth/support/status.hpp"
#include "cgroup_processes.hpp"
#include "pod_resources.hpp"
#include "runtime_cli.hpp"
#include "runtime_plugin.hpp"

namespace berth::runc {

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
