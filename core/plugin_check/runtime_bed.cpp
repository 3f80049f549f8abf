#include "plugin_check/runtime_bed.hpp"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"

namespace berth::check {

namespace json = boost::json;
using support::strCat;

namespace {

// Of the host's busybox with the libraries that it names.
constexpr const char* kRootfsScript = R"sh(
root=$1
for folder in bin dev etc proc sys tmp; do mkdir -p "$root/$folder"; done
program=$(command -v busybox) || { echo 'busybox is not installed' >&2; exit 1; }
cp -L "$program" "$root/bin/busybox"
ldd "$program" 2> /dev/null | tr ' \t' '\n\n' | grep '^/' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
for applet in sh cat sleep echo kill true tr readlink ls; do
  ln -sf busybox "$root/bin/$applet"
done
)sh";

absl::Status makeRootfs(const std::string& folder) {
  if (support::pathExists(strCat(folder, "/bin/sh"))) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const support::Output made,
                         support::run({.argv = {"/bin/sh", "-euc", kRootfsScript, "sh", folder}}));
  if (made.exitCode == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat("no root filesystem can be made (--rootfs names one): ", made.standardError));
}

std::string rootfsOf(const Probe& probe) {
  return probe.settings().rootfs.empty() ? probe.path("rootfs") : probe.settings().rootfs;
}

bool usesSystemd(const Settings& settings) {
  return settings.cgroupDriver == "systemd";
}

std::string cgroupsPath(const Settings& settings, const plugins::PodSpec& pod,
                        const std::string& container) {
  if (usesSystemd(settings)) return strCat(pod.cgroupParent, ":berth-check:", container);
  return strCat(pod.cgroupParent, "/", container);
}

json::array namespacesOf(const plugins::CreatedPod& created) {
  json::array list;
  list.push_back(json::object{{"type", "mount"}});
  list.push_back(json::object{{"type", "pid"}});
  const std::pair<uint32_t, const char*> shared[] = {{BERTH_NAMESPACE_NETWORK, "network"},
                                                     {BERTH_NAMESPACE_IPC, "ipc"},
                                                     {BERTH_NAMESPACE_UTS, "uts"}};
  for (const auto& [bit, name] : shared) {
    const auto made = created.namespaces.find(bit);
    if (made != created.namespaces.end() && !made->second.empty())
      list.push_back(json::object{{"type", name}, {"path", made->second}});
  }
  return list;
}

json::object processOf(const std::vector<std::string>& arguments, bool terminal) {
  return {{"terminal", terminal},
          {"user", {{"uid", 0}, {"gid", 0}}},
          {"args", json::value_from(arguments)},
          {"env", {"PATH=/bin:/usr/bin:/sbin:/usr/sbin"}},
          {"cwd", "/"}};
}

}  // namespace

std::string RuntimeBed::processDocument(const std::vector<std::string>& arguments, bool terminal) {
  return json::serialize(processOf(arguments, terminal));
}

std::unique_ptr<RuntimeBed> RuntimeBed::begin(Probe& probe) {
  probe.step("make the root filesystem");
  const absl::Status made = makeRootfs(rootfsOf(probe));
  if (!made.ok()) {
    probe.skip(support::fromAbsl(made.message()));
    return nullptr;
  }
  auto session = Session::begin(probe);
  if (session == nullptr) return nullptr;
  return std::unique_ptr<RuntimeBed>(new RuntimeBed(probe, std::move(session)));
}

plugins::PodSpec RuntimeBed::podSpec() {
  plugins::PodSpec spec;
  spec.id = support::randomId();
  spec.name = "pod";
  spec.podNamespace = "default";
  spec.uid = strCat("check-", spec.id.substr(0, 12));
  spec.handler = "check";
  spec.hostname = "pod";
  spec.directory = probe_.path(strCat("p/", spec.id));
  spec.newNamespaces = BERTH_NAMESPACE_NETWORK | BERTH_NAMESPACE_IPC | BERTH_NAMESPACE_UTS;
  const std::string& parent = probe_.settings().cgroupParent;
  spec.cgroupDriver = usesSystemd(probe_.settings()) ? BERTH_CGROUP_SYSTEMD : BERTH_CGROUP_CGROUPFS;
  spec.cgroupParent = usesSystemd(probe_.settings()) ? parent : strCat(parent, "/pod", spec.uid);
  return spec;
}

bool RuntimeBed::runPod(const plugins::PodSpec& spec, plugins::CreatedPod& created) {
  if (!probe_.succeeds(support::makeDirectories(spec.directory), "make the pod's directory"))
    return false;
  probe_.step("pod_create");
  auto made = plugin().createPod(op_, spec);
  if (!probe_.succeeds(made.status(), "pod_create")) return false;
  created = *std::move(made);
  probe_.step("pod_start");
  return probe_.succeeds(plugin().startPod(op_, spec.id), "pod_start");
}

void RuntimeBed::removePod(const plugins::PodSpec& spec) {
  probe_.step("pod_stop");
  probe_.succeeds(plugin().stopPod(op_, spec.id), "pod_stop");
  probe_.step("pod_remove");
  probe_.succeeds(plugin().removePod(op_, spec.id), "pod_remove");
  if (usesSystemd(probe_.settings())) return;
  for (const std::string& cgroup : cgroupsNamed(strCat("pod", spec.uid)))
    probe_.fail(strCat("pod_remove leaves the cgroup ", cgroup));
}

TestContainer RuntimeBed::container(const plugins::PodSpec& pod,
                                    std::vector<std::string> arguments) {
  TestContainer made;
  made.arguments = std::move(arguments);
  made.spec.pod = pod.id;
  made.spec.id = support::randomId();
  made.spec.name = "container";
  made.spec.directory = probe_.path(strCat("b/", made.spec.id));
  made.spec.rootfs = rootfsOf(probe_);
  made.spec.logPath = probe_.path(strCat("log-", made.spec.id));
  return made;
}

bool RuntimeBed::create(const plugins::PodSpec& pod, const plugins::CreatedPod& created,
                        TestContainer& container) {
  const bool terminal = (container.spec.flags & BERTH_CONTAINER_TERMINAL) != 0;
  json::object spec{{"ociVersion", "1.0.2"},
                    {"process", processOf(container.arguments, terminal)},
                    {"root", {{"path", container.spec.rootfs}}},
                    {"mounts",
                     {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                      {{"destination", "/dev"},
                       {"type", "tmpfs"},
                       {"source", "tmpfs"},
                       {"options", {"nosuid", "mode=755", "size=65536k"}}}}},
                    {"linux",
                     {{"cgroupsPath", cgroupsPath(probe_.settings(), pod, container.spec.id)},
                      {"namespaces", namespacesOf(created)}}}};
  container.spec.spec = json::serialize(spec);
  if (!probe_.succeeds(support::makeDirectories(container.spec.directory), "make the bundle"))
    return false;
  probe_.step("container_create");
  return probe_.succeeds(plugin().createContainer(op_, container.spec), "container_create");
}

bool RuntimeBed::run(const plugins::PodSpec& pod, const plugins::CreatedPod& created,
                     TestContainer& container) {
  if (!create(pod, created, container)) return false;
  probe_.step("container_start");
  const auto started = plugin().startContainer(op_, pod.id, container.spec.id);
  if (!probe_.succeeds(started.status(), "container_start")) return false;
  // It may be over already.
  return probe_.expect(started->state != BERTH_CONTAINER_CREATED && started->startedAt > 0,
                       strCat("container_start gives the state ", started->state, " and the time ",
                              started->startedAt));
}

int RuntimeBed::wait(const TestContainer& container) {
  probe_.step("container_wait");
  const auto status = plugin().waitContainer(op_, container.spec.pod, container.spec.id);
  if (!probe_.succeeds(status.status(), "container_wait")) return -1;
  probe_.expect(status->state == BERTH_CONTAINER_EXITED && status->finishedAt > 0,
                strCat("container_wait gives the state ", status->state, " and the time ",
                       status->finishedAt));
  return status->exitCode;
}

bool RuntimeBed::remove(const TestContainer& container) {
  probe_.step("container_remove");
  return probe_.succeeds(plugin().removeContainer(op_, container.spec.pod, container.spec.id),
                         "container_remove");
}

std::string RuntimeBed::logOf(const TestContainer& container) const {
  const auto text = support::readFile(container.spec.logPath);
  return text.ok() ? *text : std::string();
}

bool RuntimeBed::awaitLog(const TestContainer& container, std::string_view text) const {
  const support::Fd watch(::inotify_init1(IN_CLOEXEC));
  ::inotify_add_watch(watch.get(), container.spec.logPath.c_str(), IN_MODIFY);
  const auto deadline = soon(std::chrono::seconds(20));
  while (logOf(container).find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    pollfd polled{.fd = watch.get(), .events = POLLIN};
    char buffer[4096];
    if (::poll(&polled, 1, 1000) == 1 && ::read(watch.get(), buffer, sizeof buffer) < 0)
      return false;
  }
  return true;
}

std::vector<std::string> cgroupsNamed(const std::string& name) {
  namespace fs = std::filesystem;
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator at("/sys/fs/cgroup",
                                           fs::directory_options::skip_permission_denied, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_directory(error) && at->path().filename() == name) found.push_back(at->path());
  }
  return found;
}

Check runtimeCheck(std::string_view name, std::string_view meaning, std::string_view rule,
                   void (*run)(Probe&)) {
  return {.name = name,
          .meaning = meaning,
          .rule = rule,
          .run = run,
          .rights = Rights::kRoot,
          .kind = plugins::Kind::kRuntime,
          .patience = 2};
}

}  // namespace berth::check
