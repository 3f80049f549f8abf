// Checks of a runtime when calls are wrong, cancelled, repeated, or end with the process.
#include <csignal>
#include <unistd.h>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/runtime_bed.hpp"
#include "plugin_check/wider.hpp"

namespace berth::check {

using support::strCat;

namespace {

void checkRepeats(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  const std::string unknown = support::randomId();
  probe.step("calls about an unknown pod");
  probe.succeeds(bed->plugin().stopPod(bed->op(), unknown), "pod_stop of an unknown pod");
  probe.succeeds(bed->plugin().removePod(bed->op(), unknown), "pod_remove of an unknown pod");
  probe.succeeds(bed->plugin().removeContainer(bed->op(), unknown, unknown),
                 "container_remove in an unknown pod");
  probe.fails(bed->plugin().waitContainer(bed->op(), unknown, unknown).status(),
              "container_wait in an unknown pod", {absl::StatusCode::kNotFound});
  const plugins::PodSpec pod = bed->podSpec();
  plugins::CreatedPod created;
  if (!bed->runPod(pod, created)) return;
  probe.step("calls about an unknown container");
  probe.succeeds(bed->plugin().removeContainer(bed->op(), pod.id, unknown),
                 "container_remove of an unknown container");
  probe.fails(bed->plugin().waitContainer(bed->op(), pod.id, unknown).status(),
              "container_wait of an unknown container", {absl::StatusCode::kNotFound});
  probe.fails(bed->plugin().startContainer(bed->op(), pod.id, unknown).status(),
              "container_start of an unknown container");
  TestContainer container = bed->container(pod, {"sleep", "600"});
  if (bed->create(pod, created, container)) {
    bed->remove(container);
    bed->remove(container);
  }
  probe.step("pod_stop");
  probe.succeeds(bed->plugin().stopPod(bed->op(), pod.id), "pod_stop");
  bed->removePod(pod);
  bed->removePod(pod);
}

void checkErrors(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  for (const char* id : {"", "../escape", "a/b"}) {
    plugins::PodSpec spec = bed->podSpec();
    spec.id = id;
    if (!support::makeDirectories(spec.directory).ok()) return;
    probe.step(strCat("pod_create of the id \"", id, "\""));
    probe.fails(bed->plugin().createPod(bed->op(), spec).status(),
                strCat("pod_create of the id \"", id, "\""));
  }
  const plugins::PodSpec pod = bed->podSpec();
  plugins::CreatedPod created;
  if (!bed->runPod(pod, created)) return;
  TestContainer container = bed->container(pod, {"sleep", "600"});
  for (const char* document : {"", "{", "[]", "{\"ociVersion\": 5}"}) {
    container.spec.spec = document;
    if (!support::makeDirectories(container.spec.directory).ok()) return;
    probe.step(strCat("container_create with the spec ", document));
    absl::Status status = bed->plugin().createContainer(bed->op(), container.spec);
    // Whoever hands it to another program learns of it from that.
    if (status.ok())
      status = bed->plugin().startContainer(bed->op(), pod.id, container.spec.id).status();
    probe.fails(status, strCat("a container with the spec ", document));
    bed->remove(container);
  }
  const auto& table =
      *static_cast<const berth_runtime*>(bed->session().library().description().functions);
  berth_container_status status{};
  status.size = sizeof status;
  probe.step("a failing call without an error argument");
  const berth_code code = table.container_wait(bed->session().instance().handle(), bed->op().op(),
                                               str(pod.id), str("unknown"), &status, nullptr);
  probe.expect(
      code == BERTH_NOT_FOUND,
      strCat("container_wait of an unknown container without an error argument returns ", code));
  bed->removePod(pod);
}

void checkCancellation(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  const plugins::PodSpec cancelled = bed->podSpec();
  if (!support::makeDirectories(cancelled.directory).ok()) return;
  judgeCancelledBefore(probe, "pod_create", [&](const plugins::Operation& op) {
    return bed->plugin().createPod(op, cancelled).status();
  });
  bed->removePod(cancelled);
  const plugins::PodSpec pod = bed->podSpec();
  plugins::CreatedPod created;
  if (!bed->runPod(pod, created)) return;
  TestContainer container = bed->container(pod, {"sleep", "600"});
  if (bed->run(pod, created, container)) {
    const auto wait = [&](const plugins::Operation& op) {
      return bed->plugin().waitContainer(op, pod.id, container.spec.id).status();
    };
    judgeCancelledBefore(probe, "container_wait", wait);
    judgeCancelledDuring(probe, "container_wait", wait);
    judgeDeadline(probe, "container_wait", wait);
    bed->remove(container);
  }
  bed->removePod(pod);
}

void checkFutureStructs(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  const plugins::PodSpec pod = bed->podSpec();
  plugins::CreatedPod created;
  if (!bed->runPod(pod, created)) return;
  TestContainer container = bed->container(pod, {"sh", "-c", "exit 9"});
  if (bed->create(pod, created, container)) {
    const auto& table =
        *static_cast<const berth_runtime*>(bed->session().library().description().functions);
    void* handle = bed->session().instance().handle();
    Wider<berth_container_status> status(berth_container_status{});
    probe.step("container_start with a status of a later version");
    probe.succeeds(bed->session().instance().call(
                       pod.id,
                       [&](berth_error* error) {
                         return table.container_start(handle, bed->op().op(), str(pod.id),
                                                      str(container.spec.id), &status.known, error);
                       }),
                   "container_start with a status of a later version");
    probe.expect(status.known.size == sizeof status && status.untouched(),
                 "container_start writes what it does not know of a status");
    Wider<berth_container_status> exited(berth_container_status{});
    probe.step("container_wait with a status of a later version");
    probe.succeeds(bed->session().instance().callBeside([&](berth_error* error) {
      return table.container_wait(handle, bed->op().op(), str(pod.id), str(container.spec.id),
                                  &exited.known, error);
    }),
                   "container_wait with a status of a later version");
    probe.expect(exited.known.exit_code == 9 && exited.untouched(),
                 "container_wait fills a status of a later version wrong");
    bed->remove(container);
  }
  bed->removePod(pod);
}

// What a host has on record of the pod, in files that outlive the killed process.
absl::Status save(Probe& probe, std::string_view name, std::string_view content) {
  return support::replaceFile(probe.path(name), content, 0600, support::Durability::kVisible);
}

std::string saved(Probe& probe, std::string_view name) {
  const auto text = support::readFile(probe.path(name));
  return text.ok() ? *text : std::string();
}

// The process that is killed with a pod running.
void crash(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  const plugins::PodSpec pod = bed->podSpec();
  plugins::CreatedPod created;
  if (!bed->runPod(pod, created)) return;
  TestContainer running = bed->container(pod, {"sleep", "600"});
  // Exits once nobody listens: when the other process has made the file.
  TestContainer ending =
      bed->container(pod, {"sh", "-c", "while ! test -e /tmp/go; do sleep 0.1; done; exit 5"});
  TestContainer over = bed->container(pod, {"sh", "-c", "exit 3"});
  if (!bed->run(pod, created, running) || !bed->run(pod, created, ending) ||
      !bed->run(pod, created, over))
    return;
  bed->wait(over);
  for (const auto& [name, content] : {std::pair<std::string_view, std::string_view>{"pod", pod.id},
                                      {"uid", pod.uid},
                                      {"running", running.spec.id},
                                      {"ending", ending.spec.id},
                                      {"over", over.spec.id},
                                      {"state", created.state}})
    probe.succeeds(save(probe, name, content), "save what a host would");
  probe.ready();
  for (;;) ::pause();
}

void judgeRecovered(Probe& probe, const std::vector<plugins::ContainerStatus>& containers,
                    const std::string& id, berth_container_state state, int exitCode) {
  for (const plugins::ContainerStatus& one : containers) {
    if (one.id != id) continue;
    probe.expect(
        one.state == state && (state != BERTH_CONTAINER_EXITED || one.exitCode == exitCode),
        strCat("pod_recover gives the state ", one.state, " and the exit code ", one.exitCode,
               " in place of ", state, " and ", exitCode));
    return;
  }
  probe.fail(strCat("pod_recover does not know the container ", id));
}

void checkCrash(Probe& probe) {
  if (!probe.part().empty()) return crash(probe);
  if (probe.library() == nullptr) return;
  if (!probe.killPart("killed")) return;
  // While there is no host: one container goes on, one ends.
  const std::string rootfs =
      probe.settings().rootfs.empty() ? probe.path("rootfs") : probe.settings().rootfs;
  const std::string go = strCat(rootfs, "/tmp/go");
  probe.succeeds(support::replaceFile(go, "", 0644, support::Durability::kVisible),
                 "let a container end");
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  plugins::PodSpec pod = bed->podSpec();
  pod.id = saved(probe, "pod");
  pod.uid = saved(probe, "uid");
  pod.directory = probe.path(strCat("p/", pod.id));
  probe.step("pod_recover");
  const auto recovered =
      bed->plugin().recoverPod(bed->op(), pod.id, pod.directory, saved(probe, "state"));
  if (probe.succeeds(recovered.status, "pod_recover")) {
    judgeRecovered(probe, recovered.containers, saved(probe, "running"), BERTH_CONTAINER_RUNNING,
                   0);
    judgeRecovered(probe, recovered.containers, saved(probe, "over"), BERTH_CONTAINER_EXITED, 3);
    TestContainer ending, running;
    ending.spec.pod = running.spec.pod = pod.id;
    ending.spec.id = saved(probe, "ending");
    running.spec.id = saved(probe, "running");
    const int code = bed->wait(ending);
    probe.expect(code == 5, strCat("a container that exited with 5 without a host has the exit "
                                   "code ",
                                   code));
    probe.step("container_kill after a crash");
    probe.succeeds(bed->plugin().killContainer(bed->op(), pod.id, running.spec.id, SIGKILL,
                                               plugins::KillScope::kFirstProcess),
                   "container_kill after a crash");
    probe.expect(bed->wait(running) == 128 + SIGKILL,
                 "a container killed after a crash has another exit code");
  }
  bed->removePod(pod);
  support::removePath(go).IgnoreError();
  probe.step("pod_recover of an unknown pod");
  const auto unknown =
      bed->plugin().recoverPod(bed->op(), support::randomId(), probe.path("nowhere"), "");
  probe.fails(unknown.status, "pod_recover of an unknown pod", {absl::StatusCode::kNotFound});
}

// A pod that the plugin has not recovered is removed all the same.
void checkOrphan(Probe& probe) {
  if (!probe.part().empty()) return crash(probe);
  if (probe.library() == nullptr) return;
  if (!probe.killPart("killed")) return;
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  plugins::PodSpec pod = bed->podSpec();
  pod.id = saved(probe, "pod");
  pod.uid = saved(probe, "uid");
  bed->removePod(pod);
}

}  // namespace

std::vector<Check> runtimeFaultChecks() {
  return {
      runtimeCheck("runtime.repeats", "What is unknown or gone is already ended and removed.",
                   "runtime.h: everything that ends or removes is idempotent", &checkRepeats),
      runtimeCheck("runtime.errors", "Ids and specs without sense fail with a code and a message.",
                   "types.h: anything but BERTH_OK also sets the call's berth_error", &checkErrors),
      runtimeCheck("runtime.cancellation", "Cancelled calls return within two seconds.",
                   "types.h, berth_op: after cancellation or the deadline the plugin returns",
                   &checkCancellation),
      runtimeCheck("runtime.future-structs",
                   "Structs of a later version are filled as far as known.",
                   "types.h: the reader copies the smaller of both sizes", &checkFutureStructs),
      runtimeCheck(
          "runtime.crash", "Pods and containers go on without the host, and are recovered.",
          "runtime.h: everything survives the host: exits are kept, and pod_recover reports them",
          &checkCrash),
      runtimeCheck("runtime.orphan", "A pod that was not recovered is stopped and removed.",
                   "runtime.h, pod_stop: this and pod_remove work from the plugin's own files",
                   &checkOrphan),
  };
}

}  // namespace berth::check
