// Checks of runtimes: pods and containers on a real root filesystem.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/runtime_bed.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kPods = 4;
// A container that runs writes many lines in it.
constexpr std::chrono::milliseconds kStill{400};
// To end a pod's processes, which do nothing about it.
constexpr std::chrono::seconds kStopPatience{10};

void checkFeatures(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  const auto* version = bed->plugin().features().if_contains("ociVersion");
  probe.expect(version != nullptr && version->is_string() && !version->get_string().empty(),
               "features has no ociVersion");
}

void checkLifeCycle(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  RuntimePod pod(*bed);
  if (!pod.run()) return;
  for (const auto& [bit, path] : pod.created.namespaces) {
    probe.expect(path.empty() || support::pathExists(path),
                 strCat("pod_create names ", path, " for a namespace, which is not there"));
  }
  probe.step("pod_create of an id in use");
  probe.fails(bed->plugin().createPod(bed->op(), pod.spec).status(), "pod_create of an id in use",
              {absl::StatusCode::kAlreadyExists});
  TestContainer container = bed->container(pod.spec, {"sh", "-c", "echo hello; exit 7"});
  if (!bed->run(pod.spec, pod.created, container)) return;
  const int code = bed->wait(container);
  probe.expect(code == 7, strCat("a container that exits with 7 has the exit code ", code));
  plugins::Event event;
  probe.step("wait for the event of the exit");
  if (probe.expect(
          bed->session().awaitEvent(BERTH_EVENT_CONTAINER_EXITED, container.spec.id, &event),
          "no event tells of the exit of a container"))
    probe.expect(event.exitCode == 7 && event.pod == pod.spec.id && event.timestamp > 0,
                 strCat("the event of an exit with 7 has the exit code ", event.exitCode));
  probe.expect(bed->wait(container) == 7, "container_wait answers otherwise the second time");
  bed->remove(container);
  probe.step("container_wait of a removed container");
  probe.fails(bed->plugin().waitContainer(bed->op(), pod.spec.id, container.spec.id).status(),
              "container_wait of a removed container", {absl::StatusCode::kNotFound});
}

void checkExits(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  RuntimePod pod(*bed);
  if (!pod.run()) return;
  const std::pair<std::vector<std::string>, int> programs[] = {
      {{"sh", "-c", "exit 0"}, 0},
      {{"sh", "-c", "exit 255"}, 255},
      {{"sh", "-c", "sh -c 'kill -9 $$'; exit $?"}, 137}};
  for (const auto& [arguments, expected] : programs) {
    TestContainer container = bed->container(pod.spec, arguments);
    if (!bed->run(pod.spec, pod.created, container)) return;
    const int code = bed->wait(container);
    probe.expect(code == expected,
                 strCat("a container that exits with ", expected, " has the exit code ", code));
    bed->remove(container);
  }
  TestContainer missing = bed->container(pod.spec, {"/no/such/program"});
  if (!bed->create(pod.spec, pod.created, missing)) return;
  probe.step("container_start of a program that is not there");
  probe.fails(bed->plugin().startContainer(bed->op(), pod.spec.id, missing.spec.id).status(),
              "container_start of a program that is not there");
  bed->remove(missing);
}

void checkKill(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  RuntimePod pod(*bed);
  if (!pod.run()) return;
  for (const auto scope : {plugins::KillScope::kFirstProcess, plugins::KillScope::kAllProcesses}) {
    TestContainer container = bed->container(pod.spec, {"sleep", "600"});
    if (!bed->run(pod.spec, pod.created, container)) return;
    probe.step("container_kill");
    probe.succeeds(
        bed->plugin().killContainer(bed->op(), pod.spec.id, container.spec.id, SIGKILL, scope),
        "container_kill");
    const int code = bed->wait(container);
    probe.expect(code == 128 + SIGKILL, strCat("a killed container has the exit code ", code));
    probe.step("container_kill of a container that has exited");
    probe.succeeds(
        bed->plugin().killContainer(bed->op(), pod.spec.id, container.spec.id, SIGTERM, scope),
        "container_kill of a container that has exited");
    bed->remove(container);
  }
  TestContainer running = bed->container(pod.spec, {"sleep", "600"});
  if (bed->run(pod.spec, pod.created, running)) bed->remove(running);
  TestContainer left = bed->container(pod.spec, {"sleep", "600"});
  if (!bed->run(pod.spec, pod.created, left)) return;
  probe.step("pod_stop with a running container");
  probe.succeeds(bed->plugin().stopPod(bed->op(), pod.spec.id),
                 "pod_stop with a running container");
  const int code = bed->wait(left);
  probe.expect(code == 128 + SIGKILL,
               strCat("a container whose pod was stopped has the exit code ", code));
}

void checkLogs(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  RuntimePod pod(*bed);
  if (!pod.run()) return;
  TestContainer container = bed->container(
      pod.spec, {"sh", "-c", "echo to-stdout; echo to-stderr >&2; printf no-newline; sleep 600"});
  if (!bed->run(pod.spec, pod.created, container)) return;
  probe.step("wait for the log");
  const bool logged = bed->awaitLog(container, " stdout F to-stdout\n") &&
                      bed->awaitLog(container, " stderr F to-stderr\n");
  probe.expect(logged, strCat("the log has not the lines of both streams in CRI's format: ",
                              bed->logOf(container)));
  const std::string renamed = container.spec.logPath + ".1";
  ::rename(container.spec.logPath.c_str(), renamed.c_str());
  probe.step("container_reopen_log");
  probe.succeeds(bed->plugin().reopenLog(bed->op(), pod.spec.id, container.spec.id),
                 "container_reopen_log");
  probe.expect(support::pathExists(container.spec.logPath),
               "container_reopen_log does not make the log anew");
  bed->remove(container);
}

void checkStats(RuntimeBed& bed, const plugins::ContainerSpec& container) {
  Probe& probe = bed.probe();
  probe.step("container_stats");
  const auto stats =
      bed.plugin().containerStats(bed.op(), container.pod, {container.id, std::string(64, '0')}, 0);
  if (probe.succeeds(stats.status(), "container_stats") &&
      probe.expect(stats->size() == 1 && stats->front().id == container.id,
                   strCat("container_stats of one running and one unknown container gives ",
                          stats->size()))) {
    probe.expect(stats->front().raw.timestamp > 0, "container_stats gives no time");
    probe.expect((stats->front().raw.present & BERTH_STATS_ON_REQUEST) == 0,
                 "container_stats gives what is costly without being asked");
  }
  probe.step("pod_stats");
  const auto whole = bed.plugin().podStats(bed.op(), container.pod, 0);
  if (probe.succeeds(whole.status(), "pod_stats"))
    probe.expect(whole->size() == 1, strCat("pod_stats gives ", whole->size(), " results"));
}

// What it has written once nothing more comes; nothing when there is no end of it.
std::optional<std::string> settledLog(const RuntimeBed& bed, const TestContainer& container) {
  std::string log = bed.logOf(container);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(kStill);
    std::string later = bed.logOf(container);
    if (later == log) return log;
    log = std::move(later);
  }
  return std::nullopt;
}

// That the pod ends with a paused container in it, and its removal by the destructor leaves
// nothing.
void checkStopsPod(RuntimeBed& bed, const RuntimePod& pod, const TestContainer& paused) {
  bed.probe().step("pod_stop with a paused container");
  const plugins::Operation op("pod_stop", soon(kStopPatience));
  if (!bed.probe().succeeds(bed.plugin().stopPod(op, pod.spec.id),
                            "pod_stop with a paused container"))
    return;
  const int code = bed.wait(paused);
  bed.probe().expect(code == 128 + SIGKILL,
                     strCat("a paused container whose pod was stopped has the exit code ", code));
}

void checkPause(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  if (!bed->plugin().pauses()) return probe.skip("it does not offer berth.runtime.pause");
  RuntimePod pod(*bed);
  if (!pod.run()) return;
  const auto pause = [&](const TestContainer& container) {
    probe.step("pause");
    return probe.succeeds(bed->plugin().pauseContainer(bed->op(), pod.spec.id, container.spec.id),
                          "pause");
  };
  const auto resume = [&](const TestContainer& container) {
    probe.step("resume");
    return probe.succeeds(bed->plugin().resumeContainer(bed->op(), pod.spec.id, container.spec.id),
                          "resume");
  };
  const std::vector<std::string> counting = {
      "sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i.; sleep 0.02; done"};
  TestContainer container = bed->container(pod.spec, counting);
  if (!bed->run(pod.spec, pod.created, container)) return;
  probe.expect(bed->awaitLog(container, "line 1."), "the container does not run");
  if (!pause(container)) return;
  if (!pause(container)) return;  // of what is paused already
  const auto still = settledLog(*bed, container);
  if (probe.expect(still.has_value(), "a paused container goes on") && resume(container) &&
      resume(container)) {
    const auto lines = static_cast<size_t>(std::count(still->begin(), still->end(), '\n'));
    probe.step("wait for more of its log");
    probe.expect(bed->awaitLog(container, strCat("line ", lines + 1, ".")),
                 "a container that is resumed does not go on where it was");
  }
  if (!pause(container)) return;
  probe.step("container_kill of a paused container");
  probe.succeeds(bed->plugin().killContainer(bed->op(), pod.spec.id, container.spec.id, SIGKILL,
                                             plugins::KillScope::kAllProcesses),
                 "container_kill of a paused container");
  const int code = bed->wait(container);
  probe.expect(code == 128 + SIGKILL,
               strCat("a paused container that is killed has the exit code ", code));
  bed->remove(container);
  TestContainer removed = bed->container(pod.spec, counting);
  if (!bed->run(pod.spec, pod.created, removed) || !pause(removed)) return;
  bed->remove(removed);
  TestContainer left = bed->container(pod.spec, counting);
  if (!bed->run(pod.spec, pod.created, left) || !pause(left)) return;
  checkStopsPod(*bed, pod, left);
}

void checkConcurrent(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  std::vector<std::unique_ptr<RuntimePod>> pods;
  for (size_t i = 0; i < kPods; ++i) pods.push_back(std::make_unique<RuntimePod>(*bed));
  probe.step("several pods at the same time");
  probe.succeeds(
      support::inParallel(
          kPods, kPods,
          [&](size_t i) -> absl::Status {
            RuntimePod& pod = *pods[i];
            if (!pod.run()) return absl::InternalError("no pod");
            TestContainer one = bed->container(pod.spec, {"sh", "-c", strCat("exit ", i + 1)});
            if (!bed->run(pod.spec, pod.created, one)) return absl::InternalError("no container");
            const int code = bed->wait(one);
            if (code != static_cast<int>(i) + 1)
              return absl::InternalError(strCat("exit code ", code));
            return absl::OkStatus();
          }),
      "several pods at the same time");
}

}  // namespace

std::vector<Check> runtimeChecks() {
  return {
      runtimeCheck("runtime.features", "It says which version of the OCI runtime spec it takes.",
                   "runtime.h, features", &checkFeatures),
      runtimeCheck(
          "runtime.life-cycle", "A pod and a container go through their lives, exit told.",
          "runtime.h: a pod's life, a container's life; plugin.h, BERTH_EVENT_CONTAINER_EXITED",
          &checkLifeCycle),
      runtimeCheck("runtime.exits",
                   "Exit codes are those of the programs; a program not found is told.",
                   "runtime.h, container_start: a failure of finding the program is reported here",
                   &checkExits),
      runtimeCheck("runtime.kill",
                   "Containers are ended by signals, by removal, and with their pod.",
                   "runtime.h: container_kill (OK when it has exited), container_remove, pod_stop",
                   &checkKill),
      runtimeCheck("runtime.logs", "Output is logged in CRI's format, and the log is opened anew.",
                   "runtime.h: berth_container_spec.log_path, container_reopen_log", &checkLogs),
      runtimeCheck("runtime.stats", "Usage is told of what runs, without what is costly.",
                   "runtime.h: container_stats (unknown ones are left out), pod_stats",
                   &inContainer<checkStats>),
      runtimeCheck("runtime.pause",
                   "A paused container stands still, goes on, and can be ended meanwhile, alone "
                   "and with its pod.",
                   "extensions.h, BERTH_EXTENSION_PAUSE; runtime.h: container_kill, "
                   "container_remove (one that runs is killed first), pod_stop",
                   &checkPause),
      runtimeCheck("runtime.concurrent", "Several pods live at the same time.",
                   "plugin.h, berth_threading: per object means per pod", &checkConcurrent),
  };
}

}  // namespace berth::check
