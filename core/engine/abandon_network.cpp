// An operator strikes off a pod's network that cannot be detached any more.
#include "engine/abandon_network.hpp"

#include <algorithm>
#include <chrono>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/names.hpp"
#include "engine/network_request.hpp"
#include "engine/plugin_forms.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr size_t kNamedPods = 5;
// For the last try, by a network that mostly hangs.
constexpr std::chrono::seconds kLastTime{5};

std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const std::string& text : texts) result += strCat(result.empty() ? "" : ", ", text);
  return result;
}

// The pod that a person means: by its id or the beginning of one, as namespace/name or by the name.
absl::StatusOr<std::shared_ptr<Pod>> meant(const std::vector<std::shared_ptr<Pod>>& pods,
                                           const std::string& object) {
  if (object.empty()) return absl::InvalidArgumentError("name a pod: the name is empty");
  std::vector<std::shared_ptr<Pod>> found;
  std::string listed;
  for (const auto& pod : pods) {
    const std::string name =
        pod->peek([](const records::PodRecord& r) { return spokenName(r.config().metadata()); });
    if (!pod->id().starts_with(object) && name != object && !name.ends_with(strCat("/", object)))
      continue;
    found.push_back(pod);
    if (found.size() <= kNamedPods)
      listed += strCat(listed.empty() ? "" : ", ", pod->id(), " (", name,
                       pod->state() == records::POD_READY ? ", ready)" : ")");
  }
  if (found.empty()) return absl::NotFoundError(strCat("there is no pod sandbox \"", object, "\""));
  if (found.size() == 1) return found.front();
  if (found.size() > kNamedPods) listed += strCat(" and ", found.size() - kNamedPods, " more");
  return absl::FailedPreconditionError(strCat("\"", object, "\" may mean ", found.size(),
                                              " pod sandboxes; name one by its id: ", listed));
}

absl::Status check(const Pod& pod, const std::vector<std::shared_ptr<Container>>& containers) {
  std::string running;
  for (const auto& container : containers) {
    if (container->peek([](const auto& r) { return r.state(); }) == v1::CONTAINER_RUNNING)
      running = container->id();
  }
  return checkAbandonable(pod.record(), running, pod.detachFailure());
}

void tell(const AbandonedNetwork& lost, const absl::Status& failure) {
  common::logWarning("a pod's network is abandoned: what it took may stay taken",
                     {{"pod", lost.pod},
                      {"name", lost.name},
                      {"network", lost.network},
                      {"addresses", joined(lost.addresses)},
                      {"hostPorts", joined(lost.hostPorts)},
                      {"error", support::fromAbsl(failure.message())}});
}

// Tried once more, by a network that is told that nobody will ask again: what it cannot release it
// is to forget now, if it has records of its own. That an attachment is not wanted any more does
// not tell it: a pod's record may have been lost, and then it is released however long that takes.
absl::Status detachAtLast(const plugins::Operation& op, const Pod& pod,
                          const plugins::Registry& registry) {
  const records::PodRecord record = pod.record();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Network> network,
                         heldNetwork(pod, registry));
  BERTH_ASSIGN_OR_RETURN(plugins::NetworkRequest request, networkRequest(record));
  request.annotations[BERTH_NETWORK_ABANDONED] = "true";
  const plugins::Operation last(strCat("detach pod sandbox ", pod.id(), " at last"),
                                std::min(op.deadline(), Deadline::clock::now() + kLastTime));
  return network->detach(last, request, record.network().state());
}

// Who asks again hears the same.
bool isAbandoned(const Pod& pod) {
  return pod.peek([](const records::PodRecord& r) { return r.network().abandoned(); });
}

// What is not kept is not so: the detach is tried again then.
absl::Status strikeOff(Pod& pod) {
  const auto setAbandoned = [&](bool abandoned) {
    return pod.change([&](records::PodRecord& r) {
      r.mutable_network()->set_wanted(!abandoned);
      r.mutable_network()->set_abandoned(abandoned);
    });
  };
  absl::Status kept = setAbandoned(true);
  if (!kept.ok()) {
    setAbandoned(false).IgnoreError();
    return kept;
  }
  pod.setNetwork(nullptr);
  pod.setDetachFailure(absl::OkStatus());
  return kept;
}

}  // namespace

AbandonedNetwork abandonedNetwork(const records::PodRecord& pod) {
  AbandonedNetwork result{
      .pod = pod.id(),
      .name = spokenName(pod.config().metadata()),
      .network = pod.network().network(),
      .addresses = {pod.network().addresses().begin(), pod.network().addresses().end()},
      .hostPorts = {},
      .unfinished = {}};
  for (const v1::PortMapping& port : pod.config().port_mappings()) {
    if (port.host_port() <= 0) continue;
    result.hostPorts.push_back(strCat(port.host_ip(), port.host_ip().empty() ? "" : ":",
                                      port.host_port(), "/", v1::Protocol_Name(port.protocol())));
  }
  return result;
}

absl::Status checkAbandonable(const records::PodRecord& pod, const std::string& running,
                              const absl::Status& detachFailure) {
  const std::string which =
      strCat("pod sandbox ", pod.id(), " (", spokenName(pod.config().metadata()), ")");
  if (pod.state() == records::POD_READY)
    return absl::FailedPreconditionError(
        strCat(which, " is ready: delete the pod, or stop it with `crictl stopp ", pod.id(),
               "`, and see whether its network is detached"));
  if (!pod.network().wanted())
    return absl::FailedPreconditionError(strCat(which, " has no network that is to be detached"));
  if (!running.empty())
    return absl::FailedPreconditionError(strCat(
        which, " has a container that has not ended, ", running,
        ", and may use its addresses: end it first, with `crictl stop --timeout 0 ", running, "`"));
  if (detachFailure.ok())
    return absl::FailedPreconditionError(
        strCat("the network of ", which,
               " has not failed to be detached since the daemon started: have that tried, with "
               "`crictl stopp ",
               pod.id(), "`"));
  return absl::OkStatus();
}

absl::StatusOr<AbandonedNetwork> Engine::abandonNetwork(const std::string& object,
                                                        Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, meant(pods(), object));
  AbandonedNetwork lost = abandonedNetwork(pod->record());
  if (isAbandoned(*pod)) return lost;
  BERTH_RETURN_IF_ERROR(check(*pod, containersOf(pod->id())));
  const auto abandon = [this, pod, lost](plugins::Operation& op) -> absl::StatusOr<std::string> {
    const Pod::Ending ending(*pod);
    // A detach that hangs would have to be waited for.
    for (const char* end : {"stop ", "remove "}) operations_.cancel(strCat(end, pod->id()));
    retries_.cancel(pod->id());
    BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
    // It may have been detached meanwhile, or abandoned.
    if (isAbandoned(*pod)) return std::string();
    BERTH_RETURN_IF_ERROR(check(*pod, containersOf(pod->id())));
    const absl::Status failure = pod->detachFailure();
    op.setStage("detach the network at last");
    detachAtLast(op, *pod, registry_).IgnoreError();
    op.setStage("strike off the network");
    BERTH_RETURN_IF_ERROR(strikeOff(*pod));
    tell(lost, failure);
    // Who has asked for its end asks again for what fails of it now.
    const absl::Status ended = pod->visible() ? stopPod(op, *pod) : removePod(op, pod);
    recovery_.collectNetworkGarbage(lost.network);
    return std::string(support::fromAbsl(ended.message()));
  };
  BERTH_ASSIGN_OR_RETURN(lost.unfinished,
                         operations_.run(strCat("abandon ", pod->id()),
                                         strCat("AbandonNetwork ", pod->id()), deadline, abandon));
  return lost;
}

}  // namespace berth::engine
