// What verbose statuses tell (CRI, PodSandboxStatusRequest.verbose,
// ContainerStatusRequest.verbose): under the names that other engines use, so that people's scripts
// find it.
#include <chrono>

#include <boost/json.hpp>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "engine/engine.hpp"
#include "engine/message_json.hpp"
#include "engine/network_request.hpp"
#include "engine/plugin_forms.hpp"
#include "engine/spec/cgroup_path.hpp"
#include "engine/spec/namespaces.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
namespace bj = boost::json;
using support::strCat;

namespace {

constexpr std::chrono::seconds kCheckTime{10};

// Null for what is empty or cannot be read: it is for people, and the rest is of use without it.
bj::value parsed(const std::string& text) {
  if (text.empty()) return nullptr;
  auto value = support::parseJson(text, "kept JSON");
  return value.ok() ? *std::move(value) : bj::value();
}

// The OCI runtime spec's names of namespaces.
std::string_view namespaceType(uint32_t bit) {
  switch (bit) {
    case BERTH_NAMESPACE_NETWORK:
      return "network";
    case BERTH_NAMESPACE_IPC:
      return "ipc";
    case BERTH_NAMESPACE_UTS:
      return "uts";
    case BERTH_NAMESPACE_PID:
      return "pid";
    default:
      return "user";
  }
}

void addRuntime(const plugins::Runtime* runtime, bj::object& info) {
  if (runtime == nullptr) return;
  info["runtimeType"] = view(runtime->instance().library().description().name);
  info["runtimeOptions"] = runtime->instance().options();
}

// A pod has no process of its own, and so no specification for a runtime. This is the part that
// there would be of one: where scripts look for the namespaces.
bj::object podSpec(const records::PodRecord& record, spec::CgroupDriver driver) {
  bj::array namespaces;
  for (const auto& [bit, path] : record.namespaces()) {
    namespaces.push_back(bj::object{{"type", namespaceType(bit)}, {"path", path}});
  }
  bj::object linux{{"namespaces", std::move(namespaces)}};
  auto cgroup = spec::podCgroupParent(record.config().linux().cgroup_parent(), driver);
  if (cgroup.ok()) linux["cgroupsPath"] = *cgroup;
  if (!record.config().linux().sysctls().empty()) {
    bj::object sysctls;
    for (const auto& [key, value] : record.config().linux().sysctls()) sysctls[key] = value;
    linux["sysctl"] = std::move(sysctls);
  }
  bj::object annotations;
  for (const auto& [key, value] : record.config().annotations()) annotations[key] = value;
  return {{"hostname", record.config().hostname()},
          {"annotations", std::move(annotations)},
          {"linux", std::move(linux)}};
}

// Whether the pod has had a network namespace of its own that is gone.
bool networkClosed(const records::PodRecord& record) {
  const auto namespaces = spec::podNamespaces(record.config());
  if (!namespaces.ok() || !namespaces->network) return false;
  const auto found = record.namespaces().find(BERTH_NAMESPACE_NETWORK);
  return found == record.namespaces().end() || !support::pathExists(found->second);
}

// Whether the pod is still connected as it was (CNI's CHECK), for people: it changes no state,
// since plugins are known that fail here although nothing is wrong. Null where there is nothing to
// check.
bj::value networkCheck(const absl::StatusOr<std::shared_ptr<plugins::Network>>& network,
                       const records::PodRecord& record) {
  if (!record.network().wanted() || record.network().addresses().empty()) return nullptr;
  const plugins::Operation op(strCat("check the network of ", record.id()),
                              plugins::Operation::Clock::now() + kCheckTime);
  const auto check = [&]() -> absl::Status {
    BERTH_RETURN_IF_ERROR(network.status());
    BERTH_ASSIGN_OR_RETURN(const plugins::NetworkRequest request, networkRequest(record));
    return (*network)->check(op, request, record.network().state());
  };
  const absl::Status status = check();
  return status.ok() ? bj::value("OK")
                     : bj::value(std::string(support::fromAbsl(status.message())));
}

}  // namespace

absl::StatusOr<std::string> Engine::podSandboxInfo(const std::string& id) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, findPod(id));
  const records::PodRecord record = pod->record();
  const bool running = record.state() == records::POD_READY && !record.lost();
  // By which its namespaces can be entered: of the container that runs longest.
  int64_t pid = 0;
  int64_t since = INT64_MAX;
  for (const auto& container : containersOf(record.id())) {
    container->peek([&](const records::ContainerRecord& r) {
      if (r.state() != v1::CONTAINER_RUNNING || r.started_at() >= since) return;
      pid = r.pid();
      since = r.started_at();
    });
  }
  bj::object info{{"pid", pid},
                  {"processStatus", running ? "running" : "deleted"},
                  {"netNamespaceClosed", networkClosed(record)},
                  {"runtimeHandler", record.handler()},
                  {"directory", podDirectory(record.id())},
                  {"state", records::PodState_Name(record.state())},
                  {"lost", record.lost()},
                  {"config", toJson(record.config())},
                  {"runtimeSpec", podSpec(record, settings_.cgroupDriver)},
                  {"cniResult", parsed(record.network().result())}};
  if (running) info["networkCheck"] = networkCheck(heldNetwork(*pod, registry_), record);
  addRuntime(heldRuntime(*pod, registry_).get(), info);
  if (record.has_overhead()) info["overhead"] = bj::object{{"linux", toJson(record.overhead())}};
  if (record.has_resources()) info["resources"] = bj::object{{"linux", toJson(record.resources())}};
  return bj::serialize(info);
}

absl::StatusOr<std::string> Engine::containerInfo(const std::string& id) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  const records::ContainerRecord record = container->record();
  const std::string directory = containerDirectory(record.id());
  // What the runtime got (berth_container_spec.directory).
  const auto spec = support::readFile(strCat(directory, "/bundle/config.json"));
  bj::object info{
      {"sandboxID", record.pod_id()},
      {"pid", record.pid()},
      {"snapshotKey", record.id()},
      {"snapshotter", record.snapshotter()},
      {"directory", directory},
      {"privileged", record.config().linux().security_context().privileged()},
      {"config", toJson(record.config())},
      {"runtimeSpec",
       spec.ok() ? parsed(*spec) : bj::value(bj::object{{"process", parsed(record.process())}})}};
  if (record.has_restore()) {
    info["restored"] = true;
    info["checkpointedAt"] = record.restore().checkpointed_at();
  }
  addRuntime(heldRuntime(container->pod(), registry_).get(), info);
  return bj::serialize(info);
}

}  // namespace berth::engine
