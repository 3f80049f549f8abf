#include "kata_plugin.hpp"

#include <array>
#include <cerrno>
#include <unistd.h>

#include <boost/json.hpp>
#include <climits>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "host_parts.hpp"
#include "pod_end.hpp"

namespace berth::kata {

using support::fromAbsl;
using support::strCat;

namespace {

// A host may leave it to the plugin.
std::string defaultRoot(const Host& host) {
  if (!host.stateDirectory().empty()) return std::string(host.stateDirectory());
  return strCat("/run/berth/runtime-kata/", host.instance());
}

// What a pod's sandbox runs: its root filesystem holds this program alone, and places to mount on.
absl::Status makeSandboxRoot(const std::string& root, const std::string& program) {
  for (const char* folder : {"/proc", "/dev"}) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(strCat(root, folder)));
  }
  BERTH_ASSIGN_OR_RETURN(const std::string content, support::readFile(program));
  const auto present = support::readFile(root + "/pause");
  if (present.ok() && *present == content) return absl::OkStatus();
  // Of a daemon that was killed while it wrote this.
  BERTH_RETURN_IF_ERROR(support::removeTemporaries(root));
  return support::replaceFile(root + "/pause", content, 0755, support::Durability::kVisible);
}

void examinePart(const absl::StatusOr<std::string>& found, std::string_view what, Findings& out) {
  if (found.ok()) {
    out.ok(what, *found);
  } else {
    out.refused(what, fromAbsl(found.status().message()));
  }
}

void examineDevice(const char* path, std::string_view without, Findings& out) {
  if (::access(path, R_OK | W_OK) == 0) {
    out.ok(path, "can be used");
  } else {
    out.limited(path, without);
  }
}

}  // namespace

berth_container_status toAbi(const ContainerRecord& record) {
  berth_container_status result{};
  result.size = sizeof result;
  result.id = str(record.id);
  result.state = record.stage == Stage::kExited    ? BERTH_CONTAINER_EXITED
                 : record.stage == Stage::kRunning ? BERTH_CONTAINER_RUNNING
                                                   : BERTH_CONTAINER_CREATED;
  result.flags = record.oomKilled ? uint32_t{BERTH_EVENT_OOM_KILLED} : 0;
  result.pid = record.stage == Stage::kRunning ? record.pid : 0;
  result.exit_code = record.exitCode;
  result.started_at = record.startedAt;
  result.finished_at = record.finishedAt;
  result.message = str(record.message);
  return result;
}

KataPlugin::~KataPlugin() {
  stop();
}

Status KataPlugin::configure(std::string_view options) {
  auto parsed = parseOptions(options, defaultRoot(host()));
  if (!parsed.ok()) return parsed.status();
  options_ = *std::move(parsed);
  return {};
}

absl::Status KataPlugin::prepareHost() {
  BERTH_ASSIGN_OR_RETURN(options_.shim, findShim(options_.shim));
  BERTH_ASSIGN_OR_RETURN(options_.keeper, findKeeper(options_.keeper));
  for (const std::string& folder :
       {options_.podLinks(), options_.sockets(), options_.sharedDirectory()}) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(folder, 0700));
  }
  return makeSandboxRoot(options_.sandboxRoot(), options_.keeper);
}

Status KataPlugin::start() {
  return prepareHost();
}

void KataPlugin::stop() {
  std::map<std::string, std::shared_ptr<Pod>, std::less<>> pods;
  {
    const std::lock_guard lock(mutex_);
    pods.swap(pods_);
  }
  for (const auto& [id, pod] : pods) pod->close();
}

void KataPlugin::setAside(const std::string& pod, std::string_view what,
                          const support::DamagedFile& file, std::string_view kind) {
  const support::AsideFolder folder(options_.damaged());
  host().error(what, {{"pod", pod},
                      {"error", support::fromAbsl(file.why.message())},
                      {"aside", folder.put(file, kind)}});
}

Status KataPlugin::examine(const Op& /*op*/, Findings& out) {
  const auto aside = support::AsideFolder(options_.damaged()).list();
  if (!aside.ok()) return aside.status();
  for (const std::string& path : *aside) {
    out.limited("damaged record", support::describeAside(path));
  }
  examinePart(findShim(options_.shim), "shim", out);
  examinePart(findKeeper(options_.keeper), "berth-keeper", out);
  if (options_.isolation == Isolation::kNamespaces) return {};
  if (!options_.configPath.empty() && !support::pathExists(options_.configPath)) {
    out.limited("shim's configuration", strCat("option config_path: ", options_.configPath,
                                               " does not exist; pods do not start"));
  }
  examineDevice("/dev/kvm",
                "cannot be opened: load kvm_intel or kvm_amd, or switch nested "
                "virtualisation on; virtual machines do not start",
                out);
  examineDevice("/dev/vhost-vsock",
                "cannot be opened: run `modprobe vhost_vsock`; most "
                "configurations of Kata need it",
                out);
  const auto shared = isShared("/");
  if (shared.ok() && !*shared) {
    out.limited("shared mounts",
                "the root mount is private: volumes that are mounted while a pod runs are not "
                "seen in its virtual machine; run `mount --make-rshared /`");
  }
  return {};
}

Status KataPlugin::features(std::string& json) {
  const bool namespaces = options_.isolation == Isolation::kNamespaces;
  json = boost::json::serialize(boost::json::object{
      {"ociVersion", "1.0.2"},
      {"binary", options_.shim},
      {"binaryName", options_.shim.substr(options_.shim.rfind('/') + 1)},
      {"virtualMachine", !namespaces},
      {"userNamespaces", false},
      {"recursiveReadOnly", false},
      {"idmappedMounts", false},
      {"seccomp", true},
      {"apparmor", namespaces},
      {"selinux", namespaces},
      {"checkpoint", false},
      {"checkpointReason", "containers of this runtime cannot be checkpointed"},
      {"hostNetwork", namespaces},
      {"hostPid", namespaces},
      {"hostIpc", namespaces},
  });
  return {};
}

// ---- the table ---------------------------------------------------------------------------------

std::shared_ptr<Pod> KataPlugin::find(std::string_view pod) const {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(pod);
  return found == pods_.end() ? nullptr : found->second;
}

bool KataPlugin::insert(const std::shared_ptr<Pod>& pod) {
  const std::lock_guard lock(mutex_);
  return pods_.emplace(pod->id(), pod).second;
}

void KataPlugin::erase(std::string_view pod) {
  std::shared_ptr<Pod> gone;
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(pod);
  if (found == pods_.end()) return;
  gone = std::move(found->second);
  pods_.erase(found);
}

std::string KataPlugin::linkOf(std::string_view pod) const {
  return strCat(options_.podLinks(), "/", pod);
}

absl::StatusOr<std::shared_ptr<Pod>> KataPlugin::requirePod(std::string_view pod) const {
  if (auto found = find(pod)) return found;
  return absl::NotFoundError(strCat("pod ", pod, " is not known to this runtime"));
}

absl::StatusOr<KataPlugin::Target> KataPlugin::requireContainer(std::string_view pod,
                                                                std::string_view container) const {
  Target target;
  BERTH_ASSIGN_OR_RETURN(target.pod, requirePod(pod));
  target.container = target.pod->find(container);
  if (target.container != nullptr) return target;
  return absl::NotFoundError(strCat("pod ", pod, " has no container ", container));
}

absl::StatusOr<KataPlugin::Target> KataPlugin::reach(const Op& op, std::string_view pod,
                                                     std::string_view container) const {
  BERTH_ASSIGN_OR_RETURN(Target target, requireContainer(pod, container));
  BERTH_ASSIGN_OR_RETURN(target.shim, target.pod->shim(limitsOf(op)));
  return target;
}

// Of a container of which nothing else is known.
ContainerRecord KataPlugin::recordByName(const PodRecord& pod, const std::string& file) const {
  ContainerRecord record;
  record.id = idOfRecord(file);
  record.bundle = pod.bundleOf(record.id);
  record.rootMount = strCat(options_.sharedDirectory(), "/", record.id);
  record.stage = Stage::kStarting;
  return record;
}

absl::StatusOr<std::shared_ptr<Pod>> KataPlugin::load(const Op& op, const PodRecord& record) {
  constexpr auto kAskTime = std::chrono::seconds(2);
  const absl::Status spoken = KeeperClient(record.keeperDirectory())
                                  .checkVersion(record.id, within(limitsOf(op), kAskTime));
  // One that does not answer must not keep the pod from being ended.
  if (absl::IsFailedPrecondition(spoken)) return spoken;
  BERTH_ASSIGN_OR_RETURN(auto pod, Pod::make(record, *this));
  std::vector<support::DamagedFile> damages;
  BERTH_ASSIGN_OR_RETURN(const auto containers, loadContainers(record, damages));
  for (const support::DamagedFile& damage : damages) {
    setAside(record.id, "the record of a container is damaged; its shim tells what it can", damage,
             "container-");
    BERTH_RETURN_IF_ERROR(pod->add(recordByName(record, damage.path)).status());
  }
  for (const ContainerRecord& container : containers) {
    BERTH_RETURN_IF_ERROR(pod->add(container).status());
  }
  return pod;
}

absl::StatusOr<std::shared_ptr<Pod>> KataPlugin::findOrLoad(const Op& op, std::string_view pod) {
  if (auto found = find(pod)) return found;
  if (!checkId("pod", pod).ok()) return nullptr;
  std::array<char, PATH_MAX> target{};
  const std::string link = linkOf(pod);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length < 0 && errno == ENOENT) return nullptr;
  if (length < 0) return support::errnoStatus(errno, strCat("read link ", link));
  const std::string id(pod);
  const std::string directory(target.data(), static_cast<size_t>(length));
  auto record = loadPodRecord(id, directory);
  if (isDamage(record.status())) {
    setAside(id, "the record of a pod is damaged; what it alone tells of cannot be ended",
             {PodRecord{.directory = directory}.file(), record.status()}, strCat(id, "-"));
  }
  // The link comes first of all: without a record there is nothing but these.
  if (absl::IsNotFound(record.status()) || isDamage(record.status())) {
    record = PodRecord{.id = id,
                       .directory = directory,
                       .netPin = strCat(options_.netnsDirectory, "/berth-", id),
                       .eventsSocket = strCat(options_.sockets(), "/", pod.substr(0, 16)),
                       .shim = options_.shim,
                       .keeper = options_.keeper};
  }
  BERTH_RETURN_IF_ERROR(record.status());
  BERTH_ASSIGN_OR_RETURN(auto loaded, load(op, *record));
  return insert(loaded) ? loaded : find(id);
}

// ---- what pods tell ----------------------------------------------------------------------------

void KataPlugin::onContainerExited(const std::string& pod, const ContainerRecord& container) {
  berth_event event{};
  event.kind = BERTH_EVENT_CONTAINER_EXITED;
  event.flags = container.oomKilled ? uint32_t{BERTH_EVENT_OOM_KILLED} : 0;
  event.pod = str(pod);
  event.container = str(container.id);
  event.timestamp = container.finishedAt;
  event.exit_code = container.exitCode;
  event.message = str(container.message);
  host().emit(event);
}

void KataPlugin::onContainerOom(const std::string& pod, const std::string& container) {
  berth_event event{};
  event.kind = BERTH_EVENT_CONTAINER_OOM;
  event.flags = BERTH_EVENT_OOM_KILLED;
  event.pod = str(pod);
  event.container = str(container);
  event.timestamp = support::nowNanoseconds();
  host().emit(event);
}

void KataPlugin::onPodLost(const std::string& pod, const std::string& reason) {
  berth_event event{};
  event.kind = BERTH_EVENT_POD_LOST;
  event.pod = str(pod);
  event.timestamp = support::nowNanoseconds();
  event.message = str(reason);
  host().emit(event);
}

void KataPlugin::warn(const std::string& pod, std::string_view what, const absl::Status& why) {
  host().warn(what, {{"pod", pod}, {"error", fromAbsl(why.message())}});
}

}  // namespace berth::kata
