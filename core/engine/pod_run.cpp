// RunPodSandbox: from a request to a pod that is ready.
#include <cerrno>
#include <sys/mount.h>
#include <unistd.h>

#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/names.hpp"
#include "engine/network_request.hpp"
#include "engine/own_directory.hpp"
#include "engine/requests.hpp"
#include "engine/spec/cgroup_path.hpp"
#include "engine/spec/namespaces.hpp"
#include "engine/spec/pod_files.hpp"
#include "engine/spec/resources.hpp"
#include "engine/spec/security.hpp"
#include "engine/spec/sysctls.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// The size of the memory file system that a pod's containers share, as the peers give it.
constexpr const char* kShmOptions = "mode=1777,size=67108864";

uint32_t namespaceBits(const spec::PodNamespaces& namespaces) {
  uint32_t bits = 0;
  if (namespaces.network) bits |= BERTH_NAMESPACE_NETWORK;
  if (namespaces.ipc) bits |= BERTH_NAMESPACE_IPC;
  if (namespaces.uts) bits |= BERTH_NAMESPACE_UTS;
  if (namespaces.pid) bits |= BERTH_NAMESPACE_PID;
  if (namespaces.user) bits |= BERTH_NAMESPACE_USER;
  return bits;
}

std::vector<berth_id_mapping> abiMappings(const std::vector<v1::IDMapping>& mappings) {
  std::vector<berth_id_mapping> result;
  result.reserve(mappings.size());
  for (const v1::IDMapping& one : mappings) {
    result.push_back({one.container_id(), one.host_id(), one.length()});
  }
  return result;
}

absl::StatusOr<std::string> resourcesText(const v1::LinuxContainerResources& resources,
                                          const common::HostFacts& host) {
  spec::Warnings warnings;
  BERTH_ASSIGN_OR_RETURN(const boost::json::object json,
                         spec::resourcesJson(resources, host, warnings));
  return boost::json::serialize(json);
}

// Of a runtime that says that it cannot give them. One that says nothing of them is left to refuse
// them itself: nobody asked the first plugins.
absl::Status checkHostNamespaces(const plugins::Runtime& runtime,
                                 const v1::NamespaceOption& options) {
  struct Wish {
    v1::NamespaceMode mode;
    const char* feature;  // of berth_runtime.features
    const char* what;
  };
  const Wish wishes[] = {
      {options.network(), "hostNetwork", "the host's network: leave hostNetwork"},
      {options.pid(), "hostPid", "the host's processes: leave hostPID"},
      {options.ipc(), "hostIpc", "the host's IPC namespace: leave hostIPC"}};
  for (const Wish& wish : wishes) {
    if (wish.mode != v1::NODE || support::boolMember(runtime.features(), wish.feature, true))
      continue;
    return absl::FailedPreconditionError(strCat("pods of the runtime \"", runtime.name(),
                                                "\" cannot use ", wish.what,
                                                " out, or choose another runtime class"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status checkPodConfig(const v1::PodSandboxConfig& config) {
  if (!config.has_metadata()) {
    return absl::InvalidArgumentError("RunPodSandbox: config.metadata is missing");
  }
  if (config.metadata().name().empty() || config.metadata().namespace_().empty()) {
    return absl::InvalidArgumentError(
        "RunPodSandbox: config.metadata needs a name and a namespace");
  }
  if (!config.log_directory().empty() && config.log_directory().front() != '/') {
    return absl::InvalidArgumentError(strCat("RunPodSandbox: config.log_directory ",
                                             config.log_directory(), " must be absolute"));
  }
  const v1::NamespaceOption& options = config.linux().security_context().namespace_options();
  for (const v1::NamespaceMode mode : {options.network(), options.pid(), options.ipc()}) {
    if (mode == v1::TARGET) {
      return absl::InvalidArgumentError(
          "RunPodSandbox: the namespace mode TARGET is for containers, not for pods");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Engine::runPodSandbox(const v1::RunPodSandboxRequest& request,
                                                  Deadline deadline) {
  BERTH_RETURN_IF_ERROR(checkPodConfig(request.config()));
  const std::string name = podName(request.config().metadata());
  return operations_.run(
      strCat("pod ", name), strCat("RunPodSandbox ", name), deadline,
      [this, request, name](plugins::Operation& op) { return runPod(op, request, name); });
}

absl::StatusOr<std::string> Engine::runPod(plugins::Operation& op,
                                           const v1::RunPodSandboxRequest& request,
                                           const std::string& name, const std::string& checkpoint) {
  if (const std::shared_ptr<Pod> existing = findByName(name)) {
    const std::string which = strCat("pod sandbox ", existing->id(), " of the name ", name);
    if (existing->state() != records::POD_READY)
      return absl::AlreadyExistsError(strCat(which, " exists and is stopped; remove it first"));
    // A repeated request finds the finished pod. But whoever made containers in it had the answer;
    // who asks now does not know of them, and would make them once more.
    if (!containersOf(existing->id()).empty())
      return absl::AlreadyExistsError(strCat(which, " exists and has containers"));
    return existing->id();
  }
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<Pod> pod, recordPod(request, name, checkpoint));
  absl::Status status;
  {
    auto turn = Turn::take(op, *pod);
    status = turn.ok() ? bringUp(op, *pod) : turn.status();
  }
  if (!status.ok()) {
    const std::string stage = op.stage();
    discardPod(pod);
    return support::annotate(status, strCat("run pod sandbox ", name, " (", stage, ")"));
  }
  return pod->id();
}

absl::StatusOr<std::shared_ptr<Pod>> Engine::recordPod(const v1::RunPodSandboxRequest& request,
                                                       const std::string& name,
                                                       const std::string& checkpoint) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeFor(request.runtime_handler()));
  const v1::PodSandboxConfig& config = request.config();
  // Refused before anything is recorded.
  BERTH_RETURN_IF_ERROR(
      checkHostNamespaces(*runtime, config.linux().security_context().namespace_options()));
  BERTH_ASSIGN_OR_RETURN(const spec::PodNamespaces namespaces, spec::podNamespaces(config));
  BERTH_RETURN_IF_ERROR(spec::podSysctls(config, settings_.defaultSysctls).status());
  BERTH_RETURN_IF_ERROR(spec::podHostname(config, host_).status());
  BERTH_RETURN_IF_ERROR(
      spec::podCgroupParent(config.linux().cgroup_parent(), settings_.cgroupDriver).status());
  if (namespaces.user && !offersUserNamespaces(runtime->name())) {
    return absl::FailedPreconditionError(
        strCat("the runtime \"", runtime->name(), "\" offers no user namespaces on this host: ",
               "the kernel, the runtime and the snapshotter must all be able to map ids"));
  }

  records::PodRecord record;
  record.set_id(support::randomId());
  *record.mutable_config() = config;
  record.set_handler(request.runtime_handler());
  record.set_runtime(runtime->name());
  record.set_plugin(runtime->instance().library().name());
  record.set_state(records::POD_CREATING);
  record.set_created_at(support::nowNanoseconds());
  record.set_boot_id(bootId_);
  record.set_restored_from(checkpoint);
  record.set_restoring(!checkpoint.empty());
  *record.mutable_overhead() = config.linux().overhead();
  *record.mutable_resources() = config.linux().resources();
  BERTH_RETURN_IF_ERROR(networkRequest(record).status());
  BERTH_RETURN_IF_ERROR(labelsOf(record).status());
  if (spec::hasLevels(host_) &&
      config.linux().security_context().selinux_options().level().empty()) {
    record.set_selinux_level(seLinuxLevels_.take());
  }
  auto pod = std::make_shared<Pod>(std::move(record), runtime, store_);
  pod->observe(lifeEvents_);
  if (absl::Status kept = pod->change([](records::PodRecord&) {}); !kept.ok()) {
    seLinuxLevels_.release(pod->peek([](const auto& r) { return r.selinux_level(); }));
    return kept;
  }
  std::unique_lock lock(mapsMutex_);
  pods_[pod->id()] = pod;
  podNames_[name] = pod->id();
  return pod;
}

absl::Status Engine::bringUp(plugins::Operation& op, Pod& pod) {
  op.setStage("make directories");
  BERTH_RETURN_IF_ERROR(makeOwnDirectory(podDirectory(pod.id()), pod));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(strCat(podDirectory(pod.id()), "/runtime"), 0711));
  const std::string logs =
      pod.peek([](const records::PodRecord& r) { return r.config().log_directory(); });
  if (!logs.empty()) BERTH_RETURN_IF_ERROR(support::makeDirectories(logs));
  BERTH_RETURN_IF_ERROR(createIsolation(op, pod));
  BERTH_RETURN_IF_ERROR(attachNetwork(op, pod));
  BERTH_RETURN_IF_ERROR(makePodFiles(op, pod));
  op.setStage("start the pod");
  BERTH_RETURN_IF_ERROR(pod.runtime()->startPod(op, pod.id()));
  BERTH_RETURN_IF_ERROR(op.check());
  return pod.change([](records::PodRecord& r) { r.set_state(records::POD_READY); });
}

absl::Status Engine::createIsolation(plugins::Operation& op, Pod& pod) {
  op.setStage("create the pod's isolation");
  const records::PodRecord record = pod.record();
  const v1::PodSandboxConfig& config = record.config();
  BERTH_ASSIGN_OR_RETURN(const spec::PodNamespaces namespaces, spec::podNamespaces(config));

  plugins::PodSpec spec;
  spec.id = pod.id();
  spec.name = config.metadata().name();
  spec.podNamespace = config.metadata().namespace_();
  spec.uid = config.metadata().uid();
  spec.attempt = config.metadata().attempt();
  spec.handler = record.handler();
  spec.directory = strCat(podDirectory(pod.id()), "/runtime");
  spec.newNamespaces = namespaceBits(namespaces);
  if (namespaces.uts) {
    BERTH_ASSIGN_OR_RETURN(spec.hostname, spec::podHostname(config, host_));
  }
  BERTH_ASSIGN_OR_RETURN(spec.sysctls, spec::podSysctls(config, settings_.defaultSysctls));
  BERTH_ASSIGN_OR_RETURN(spec.cgroupParent, spec::podCgroupParent(config.linux().cgroup_parent(),
                                                                  settings_.cgroupDriver));
  spec.cgroupDriver = settings_.cgroupDriver == spec::CgroupDriver::kSystemd
                          ? BERTH_CGROUP_SYSTEMD
                          : BERTH_CGROUP_CGROUPFS;
  spec.uidMappings = abiMappings(namespaces.uids);
  spec.gidMappings = abiMappings(namespaces.gids);
  spec.labels.insert(config.labels().begin(), config.labels().end());
  spec.annotations.insert(config.annotations().begin(), config.annotations().end());
  spec.defaultAnnotations = defaultsFor(pod.runtime()->name()).defaultAnnotations;
  spec.annotations.insert(spec.defaultAnnotations.begin(), spec.defaultAnnotations.end());
  // As for the pause container of other engines: the pod's own helper is killed last.
  spec.oomScoreAdj = -998;
  BERTH_ASSIGN_OR_RETURN(spec.resources, resourcesText(config.linux().resources(), host_));
  BERTH_ASSIGN_OR_RETURN(spec.overhead, resourcesText(config.linux().overhead(), host_));

  BERTH_ASSIGN_OR_RETURN(const plugins::CreatedPod created, pod.runtime()->createPod(op, spec));
  return pod.change([&](records::PodRecord& r) {
    for (const auto& [bit, path] : created.namespaces) (*r.mutable_namespaces())[bit] = path;
    // What it has saved by itself stays unless it says something else.
    if (!created.state.empty()) r.set_runtime_state(created.state);
  });
}

absl::Status Engine::attachNetwork(plugins::Operation& op, Pod& pod) {
  const records::PodRecord record = pod.record();
  if (!record.namespaces().contains(BERTH_NAMESPACE_NETWORK)) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Network> network,
                         registry_.network(settings_.network));
  BERTH_ASSIGN_OR_RETURN(const plugins::NetworkRequest request, networkRequest(record));
  BERTH_RETURN_IF_ERROR(pod.change([&](records::PodRecord& r) {
    r.mutable_network()->set_wanted(true);
    r.mutable_network()->set_network(settings_.network);
  }));
  pod.setNetwork(network);
  // A collection that begins from now on spares it.
  op.setStage("wait for the network's garbage to be collected");
  BERTH_RETURN_IF_ERROR(recovery_.awaitNetwork(op));
  op.setStage("attach the network");
  BERTH_ASSIGN_OR_RETURN(const plugins::NetworkResult result, network->attach(op, request));
  return pod.change([&](records::PodRecord& r) {
    r.mutable_network()->mutable_addresses()->Assign(result.addresses.begin(),
                                                     result.addresses.end());
    r.mutable_network()->set_result(result.result);
    if (!result.state.empty()) r.mutable_network()->set_state(result.state);
  });
}

absl::Status Engine::makePodFiles(plugins::Operation& op, Pod& pod) {
  op.setStage("write the pod's files");
  const records::PodRecord record = pod.record();
  const v1::PodSandboxConfig& config = record.config();
  const std::string directory = podDirectory(pod.id());
  BERTH_ASSIGN_OR_RETURN(const spec::PodNamespaces namespaces, spec::podNamespaces(config));
  BERTH_ASSIGN_OR_RETURN(const std::string hostname, spec::podHostname(config, host_));
  const auto write = [&](std::string_view name, const std::string& content) -> absl::Status {
    const std::string path = strCat(directory, "/", name);
    BERTH_RETURN_IF_ERROR(support::replaceFile(path, content, 0644, support::Durability::kVisible));
    // The root of the pod's containers may change them.
    if (!namespaces.user ||
        ::lchown(path.c_str(), namespaces.uids[0].host_id(), namespaces.gids[0].host_id()) == 0) {
      return absl::OkStatus();
    }
    return support::errnoStatus(errno, strCat("set the owner of ", path));
  };
  auto hostResolv = support::readFile("/etc/resolv.conf");
  BERTH_ASSIGN_OR_RETURN(const std::string resolv,
                         spec::resolvConfFile(config, hostResolv.ok() ? *hostResolv : ""));
  BERTH_RETURN_IF_ERROR(write("resolv.conf", resolv));
  BERTH_RETURN_IF_ERROR(write("hostname", spec::hostnameFile(hostname)));
  if (namespaces.network) {
    const std::vector<std::string> addresses(record.network().addresses().begin(),
                                             record.network().addresses().end());
    BERTH_RETURN_IF_ERROR(write("hosts", spec::hostsFile(hostname, addresses)));
  } else {
    auto hosts = support::readFile("/etc/hosts");
    BERTH_RETURN_IF_ERROR(write("hosts", hosts.ok() ? *hosts : spec::hostsFile(hostname, {})));
  }
  if (!namespaces.ipc) return absl::OkStatus();
  const std::string shm = strCat(directory, "/shm");
  BERTH_RETURN_IF_ERROR(pod.change([](records::PodRecord& r) { r.set_shm_mounted(true); }));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(shm));
  std::string options = kShmOptions;
  if (!namespaces.uids.empty()) {
    options += strCat(",uid=", namespaces.uids[0].host_id(),
                      ",gid=", namespaces.gids.empty() ? 0 : namespaces.gids[0].host_id());
  }
  BERTH_ASSIGN_OR_RETURN(const spec::SeLinuxLabels labels, labelsOf(record));
  // In quotes: categories are separated by a comma, as options are.
  if (!labels.mount.empty()) options += strCat(",context=\"", labels.mount, "\"");
  return support::mountFilesystem("shm", shm, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options);
}

}  // namespace berth::engine
