// UpdatePodSandboxResources: what a pod as a whole may use.
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/spec/resources.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

absl::Status Engine::updatePodResources(const v1::UpdatePodSandboxResourcesRequest& request,
                                        plugins::Operation& op) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                         findReady(request.pod_sandbox_id(), "update the resources of"));
  spec::Warnings warnings;
  BERTH_ASSIGN_OR_RETURN(const boost::json::object resources,
                         spec::resourcesJson(request.resources(), host_, warnings));
  BERTH_ASSIGN_OR_RETURN(const boost::json::object overhead,
                         spec::resourcesJson(request.overhead(), host_, warnings));
  spec::logWarnings(warnings, {"pod", pod->id()});
  BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
  // It may have been stopped while this waited.
  BERTH_RETURN_IF_ERROR(findReady(pod->id(), "update the resources of").status());
  op.setStage("update the pod's resources");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, runtimeOf(*pod));
  absl::Status updated = runtime->updatePodResources(
      op, pod->id(), boost::json::serialize(resources), boost::json::serialize(overhead));
  // A runtime without a say in it leaves it to whoever made the pod's cgroup: the kubelet has
  // changed that before it calls (CRI, UpdatePodSandboxResources).
  if (!updated.ok() && !absl::IsUnimplemented(updated)) return updated;
  return pod->change([&](records::PodRecord& r) {
    *r.mutable_resources() = spec::mergedResources(r.resources(), request.resources());
    *r.mutable_overhead() = spec::mergedResources(r.overhead(), request.overhead());
  });
}

}  // namespace berth::engine
