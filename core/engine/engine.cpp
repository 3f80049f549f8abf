#include "engine/engine.hpp"

#include <absl/strings/match.h>

#include "berth/support/status.hpp"
#include "common/boot_id.hpp"
#include "common/log.hpp"
#include "engine/names.hpp"
#include "engine/plugin_forms.hpp"
#include "engine/spec/security.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// For a network plugin to say whether pods can have a network.
constexpr std::chrono::seconds kNetworkTime{5};

// The object whose id is `id` or, alone among all, begins with it.
template <class Map>
absl::StatusOr<typename Map::mapped_type> findByPrefix(const Map& map, const std::string& id,
                                                       std::string_view what) {
  if (id.empty()) return absl::InvalidArgumentError(strCat("the ", what, " id is empty"));
  auto found = map.lower_bound(id);
  if (found == map.end() || !absl::StartsWith(found->first, id)) {
    return absl::NotFoundError(strCat(what, " ", id, " does not exist"));
  }
  if (found->first == id) return found->second;
  auto next = std::next(found);
  if (next != map.end() && absl::StartsWith(next->first, id)) {
    return absl::InvalidArgumentError(strCat("more than one ", what, " id begins with ", id));
  }
  return found->second;
}

absl::Status withoutRuntime(const Pod& pod, const plugins::Registry& registry) {
  if (pod.state() == records::POD_STOPPED)
    return absl::FailedPreconditionError(strCat("pod sandbox ", pod.id(), " has been stopped"));
  const std::string name = pod.runtimeName();
  // In this order: it may come back meanwhile.
  const bool isOut = registry.failure(plugins::Kind::kRuntime, name).has_value();
  const auto runtime = registry.runtime(name);
  if (isOut && !runtime.ok())
    return support::annotate(runtime.status(),
                             strCat("pod sandbox ", pod.id(), " is left as it is"));
  const std::string plugin = pod.peek([](const records::PodRecord& r) { return r.plugin(); });
  const bool isAnothers = runtime.ok();
  if (isAnothers && (plugin.empty() || plugin == (*runtime)->instance().library().name()))
    return absl::UnavailableError(strCat(
        "the runtime \"", name, "\" has just come back, and takes pod sandbox ", pod.id(), " up"));
  return absl::FailedPreconditionError(
      strCat("pod sandbox ", pod.id(), " was run by the runtime \"", name, "\"",
             isAnothers ? strCat(" of the plugin \"", plugin, "\", which it no longer is of")
                        : ", which the configuration no longer has",
             "; put it back"));
}

}  // namespace

Engine::Engine(Settings settings, Preferences preferences, plugins::Registry& registry,
               images::ImageService& images, store::Store& store, common::HostFacts host)
    : settings_(std::move(settings)),
      preferences_(std::make_shared<const Preferences>(std::move(preferences))),
      registry_(registry),
      images_(images),
      store_(store),
      host_(std::move(host)),
      bootId_(common::bootId()),
      cdi_(settings_.cdiDirs),
      hooks_(settings_.hooksDirs),
      lifeEvents_(store, [this](const Pod& pod, LifeEvent& event) { addStatuses(pod, event); }),
      layerUsages_(workers_,
                   [this](const plugins::Operation& op, const std::string& container) {
                     return measureLayer(op, container);
                   }),
      filesystems_(registry_) {
  eventThread_ = std::thread([this] { eventLoop(); });
}

void Engine::finish() {
  operations_.cancelAll();
  retries_.finish();
  layerUsages_.finish();
  workers_.finish();
}

Engine::~Engine() {
  finish();
  {
    std::lock_guard lock(eventsMutex_);
    stopping_ = true;
  }
  eventsWake_.notify_all();
  eventThread_.join();
}

absl::StatusOr<std::shared_ptr<Pod>> Engine::findPod(const std::string& id) const {
  std::shared_lock lock(mapsMutex_);
  return findByPrefix(pods_, id, "pod sandbox");
}

absl::StatusOr<std::shared_ptr<Container>> Engine::findContainer(const std::string& id) const {
  std::shared_lock lock(mapsMutex_);
  return findByPrefix(containers_, id, "container");
}

std::shared_ptr<Pod> Engine::findByName(const std::string& name) const {
  std::shared_lock lock(mapsMutex_);
  const auto id = podNames_.find(name);
  return id == podNames_.end() ? nullptr : pods_.at(id->second);
}

std::vector<std::shared_ptr<Pod>> Engine::pods() const {
  std::shared_lock lock(mapsMutex_);
  std::vector<std::shared_ptr<Pod>> result;
  result.reserve(pods_.size());
  for (const auto& [id, pod] : pods_) result.push_back(pod);
  return result;
}

Engine::Containers Engine::containers() const {
  std::shared_lock lock(mapsMutex_);
  Containers result;
  result.reserve(containers_.size());
  for (const auto& [id, container] : containers_) result.push_back(container);
  return result;
}

std::vector<PodAndContainers> Engine::readyPods() const {
  std::unordered_map<const Pod*, Containers> members;
  std::vector<PodAndContainers> result;
  std::shared_lock lock(mapsMutex_);
  for (const auto& [id, container] : containers_) members[&container->pod()].push_back(container);
  for (const auto& [id, pod] : pods_) {
    // Of one whose runtime is not there nobody can tell figures.
    if (pod->state() != records::POD_READY || !pod->visible() || !pod->runtime()) continue;
    result.push_back({.pod = pod, .containers = members[pod.get()]});
  }
  return result;
}

Engine::Containers Engine::containersOf(const std::string& podId) const {
  std::shared_lock lock(mapsMutex_);
  Containers result;
  for (const auto& [id, container] : containers_) {
    if (container->pod().id() == podId) result.push_back(container);
  }
  return result;
}

absl::StatusOr<std::shared_ptr<plugins::Runtime>> Engine::runtimeFor(
    const std::string& handler) const {
  const std::string name = handler.empty() ? preferences()->defaultRuntime : handler;
  // In this order: it may come back meanwhile.
  const bool isOut = registry_.failure(plugins::Kind::kRuntime, name).has_value();
  auto runtime = registry_.runtime(name);
  // The caller is right to ask for one that could not start.
  if (runtime.ok() || isOut) return runtime;
  return absl::InvalidArgumentError(
      strCat("runtime_handler: ", support::fromAbsl(runtime.status().message())));
}

absl::StatusOr<std::shared_ptr<plugins::Runtime>> Engine::runtimeOf(const Pod& pod) const {
  auto runtime = pod.runtime();
  if (runtime == nullptr) return withoutRuntime(pod, registry_);
  BERTH_RETURN_IF_ERROR(checkReached(pod));
  return runtime;
}

absl::StatusOr<std::shared_ptr<plugins::Runtime>> Engine::holderOf(const Pod& pod) const {
  if (pod.state() == records::POD_STOPPED) return nullptr;
  if (auto runtime = pod.runtime(); runtime != nullptr) return runtime;
  // Of what was made before a restart of the node there is nothing that only its runtime can end.
  if (pod.peek([](const records::PodRecord& r) { return r.boot_id(); }) != bootId_) return nullptr;
  return withoutRuntime(pod, registry_);
}

absl::StatusOr<std::string> Engine::runtimeOf(const v1::ImageSpec& image,
                                              const v1::PodSandboxConfig& config) const {
  if (image.runtime_handler().empty()) {
    if (const auto pod = findByName(podName(config.metadata()))) return pod->runtimeName();
  }
  // What its images are like the configuration says, also while it is out of service.
  if (registry_.failure(plugins::Kind::kRuntime, image.runtime_handler()).has_value())
    return image.runtime_handler();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeFor(image.runtime_handler()));
  return runtime->name();
}

void Engine::prefer(Preferences preferences) {
  preferences_.store(std::make_shared<const Preferences>(std::move(preferences)));
}

std::string Engine::podOf(const v1::PodSandboxConfig& pod) const {
  const auto found = findByName(podName(pod.metadata()));
  return found == nullptr ? std::string() : found->id();
}

spec::Defaults Engine::defaultsFor(const std::string& runtime) const {
  const std::shared_ptr<const Preferences> now = preferences();
  auto found = now->runtimeDefaults.find(runtime);
  return found == now->runtimeDefaults.end() ? now->containerDefaults : found->second;
}

std::string Engine::podDirectory(const std::string& id) const {
  return strCat(settings_.state, "/pods/", id);
}

std::string Engine::containerDirectory(const std::string& id) const {
  return strCat(settings_.state, "/containers/", id);
}

// On the disk: volumes may be large, and outlast a reboot for as long as their container's record.
std::string Engine::volumesDirectory(const std::string& id) const {
  return strCat(settings_.root, "/volumes/", id);
}

bool Engine::offersUserNamespaces(const std::string& name) const {
  auto runtime = registry_.runtime(name);
  auto snapshotter = registry_.snapshotter(podImages_.snapshotter(name));
  if (!runtime.ok() || !snapshotter.ok()) return false;
  const spec::RuntimeFeatures features = spec::runtimeFeatures((*runtime)->features());
  return features.userNamespaces && host_.userNamespaces && (*snapshotter)->mapsIds() &&
         (features.idmappedMounts || host_.idmappedMounts);
}

// By the id: the name may be another's by now.
void Engine::freeName(const Pod& pod) {
  std::unique_lock lock(mapsMutex_);
  std::erase_if(podNames_, [&](const auto& entry) { return entry.second == pod.id(); });
}

void Engine::freeName(const Container& container) {
  std::unique_lock lock(mapsMutex_);
  std::erase_if(containerNames_, [&](const auto& entry) { return entry.second == container.id(); });
}

void Engine::forget(const Pod& pod) {
  freeName(pod);
  std::unique_lock lock(mapsMutex_);
  // Once, however many undo it at the same time.
  if (pods_.erase(pod.id()) == 0) return;
  lock.unlock();
  seLinuxLevels_.release(pod.peek([](const records::PodRecord& r) { return r.selinux_level(); }));
}

void Engine::forget(const Container& container) {
  freeName(container);
  std::unique_lock lock(mapsMutex_);
  containers_.erase(container.id());
}

absl::StatusOr<spec::SeLinuxLabels> Engine::labelsOf(const records::PodRecord& pod) const {
  return spec::podSeLinuxLabels(pod.config().linux().security_context().selinux_options(), host_,
                                pod.selinux_level());
}

absl::Status Engine::networkStatus() {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Network> network,
                         registry_.network(settings_.network));
  const plugins::Operation op("Status");
  const auto answers = operations_.rounds().ask<bool>(
      op, {strCat("network ", settings_.network)},
      [network](size_t, const plugins::Operation&) -> absl::StatusOr<bool> {
        // One that keeps to its time knows best what it has waited for.
        const plugins::Operation own("look at the network", Deadline::clock::now() + kNetworkTime);
        BERTH_RETURN_IF_ERROR(network->status(own));
        return true;
      },
      {.patience = kNetworkTime + std::chrono::seconds(1)});
  return answers.front().status();
}

absl::Status Engine::updatePodCidr(const plugins::Operation& op, const std::string& cidr) {
  // One that was replaced meanwhile was told for nothing.
  for (std::shared_ptr<plugins::Network> told;;) {
    BERTH_ASSIGN_OR_RETURN(std::shared_ptr<plugins::Network> serving,
                           registry_.network(settings_.network));
    if (serving == told) return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(serving->setPodCidr(op, cidr));
    told = std::move(serving);
  }
}

absl::Status Engine::savePluginState(std::string_view kind, std::string_view instance,
                                     const std::string& podId, std::string_view state) {
  const bool isRuntime = kind == plugins::kindName(plugins::Kind::kRuntime);
  const bool isNetwork = kind == plugins::kindName(plugins::Kind::kNetwork);
  const auto belongs = [&](const records::PodRecord& r) {
    return (isRuntime && r.runtime() == instance) ||
           (isNetwork && r.network().wanted() && r.network().network() == instance);
  };
  const auto pod = findPod(podId);
  if (!pod.ok() || (*pod)->id() != podId || !(*pod)->peek(belongs)) {
    return absl::NotFoundError(
        strCat("the ", kind, " \"", instance, "\" has no pod ", podId, " to keep a state with"));
  }
  return (*pod)->change([&](records::PodRecord& r) {
    (isRuntime ? *r.mutable_runtime_state() : *r.mutable_network()->mutable_state()) = state;
  });
}

}  // namespace berth::engine
