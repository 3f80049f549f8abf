// Checks of an instance's life: entry → create → configure → start → calls → stop → destroy.
#include <chrono>
#include <thread>

#include <boost/json.hpp>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/life.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/raw_instance.hpp"
#include "plugins/findings.hpp"
#include "plugins/operation.hpp"

namespace berth::check {

using support::strCat;

namespace {

// Long enough for a thread that stop has not ended to be heard of.
constexpr auto kAfterStop = std::chrono::milliseconds(500);
constexpr size_t kInstances = 8;

void checkOrder(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  WatchedHost& host = WatchedHost::make(probe.path(""), "first");
  RawInstance instance(probe, *subject->library, host);
  if (!probe.succeeds(instance.prepare(subject->options), "create and configure")) return;
  const absl::Status started = instance.start();
  if (started.ok()) {
    instance.stop();
    probe.step("wait for callbacks after stop");
    std::this_thread::sleep_for(kAfterStop);
  } else if (lacksRights(started)) {
    probe.skip(strCat("start needs root: ", support::fromAbsl(started.message())));
  } else {
    probe.succeeds(started, "start");
  }
  instance.destroy();
  host.judge(probe);
}

void checkUnstarted(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  WatchedHost& host = WatchedHost::make(probe.path(""), "created");
  RawInstance created(probe, *subject->library, host);
  if (!probe.succeeds(created.create(), "create")) return;
  created.destroy();
  host.judge(probe);
  WatchedHost& other = WatchedHost::make(probe.path(""), "configured");
  RawInstance configured(probe, *subject->library, other);
  if (!probe.succeeds(configured.prepare(subject->options), "create and configure")) return;
  configured.destroy();
  other.judge(probe);
}

// Documents that no host hands over: what matters is that the instance can be destroyed after it.
void checkFailedConfigure(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  for (const std::string_view document : {"", "{", "[]", "null", "{\"path\": nul"}) {
    WatchedHost& host = WatchedHost::make(probe.path(""), "refused");
    RawInstance instance(probe, *subject->library, host);
    if (!probe.succeeds(instance.create(), "create")) return;
    instance.configure(document).IgnoreError();
    probe.step(strCat("destroy after configure with ", document));
    instance.destroy();
    host.judge(probe);
  }
}

void checkFailedStart(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  WatchedHost& host = WatchedHost::make(probe.path("nowhere"), "failing");
  RawInstance instance(probe, *subject->library, host);
  if (!probe.succeeds(instance.prepare(subject->options), "create and configure")) return;
  probe.step("start without the directories of the host");
  host.enter(Phase::kRunning);
  detail::ErrorSlot slot;
  const berth_code code = subject->plugin().start(instance.handle(), slot.get());
  const absl::Status started = judgedStatus(probe, "start", code, slot.status(code).message());
  if (started.ok()) instance.stop();
  instance.destroy();
  host.judge(probe);
}

void checkRepeatedSteps(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  WatchedHost& host = WatchedHost::make(probe.path(""), "twice");
  RawInstance instance(probe, *subject->library, host);
  if (!probe.succeeds(instance.prepare(subject->options), "create and configure")) return;
  instance.configure(subject->options).IgnoreError();
  probe.step("stop without start");
  instance.stop();
  instance.destroy();
}

void checkInstances(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  std::vector<std::unique_ptr<RawInstance>> instances;
  std::vector<WatchedHost*> hosts;
  std::set<void*> handles;
  for (size_t i = 0; i < kInstances; ++i) {
    hosts.push_back(&WatchedHost::make(probe.path(""), strCat("instance-", i)));
    instances.push_back(std::make_unique<RawInstance>(probe, *subject->library, *hosts.back()));
    if (!probe.succeeds(instances.back()->prepare(subject->options),
                        strCat("create and configure instance ", i + 1)))
      return;
    probe.expect(handles.insert(instances.back()->handle()).second,
                 "two instances have the same handle");
  }
  std::vector<bool> started;
  for (const auto& instance : instances) {
    const absl::Status status = instance->start();
    started.push_back(status.ok());
    if (!status.ok()) {
      probe.skip(strCat("start fails: ", support::fromAbsl(status.message())));
      break;
    }
  }
  // The first ones end while others go on.
  for (size_t i = 0; i < instances.size(); ++i) {
    if (i < started.size() && started[i]) instances[i]->stop();
    instances[i]->destroy();
    hosts[i]->judge(probe);
  }
}

void checkFutureHost(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  WatchedHost& host = WatchedHost::make(probe.path(""), "future", WatchedHost::Age::kFuture);
  RawInstance instance(probe, *subject->library, host);
  if (!probe.succeeds(instance.prepare(subject->options), "create and configure")) return;
  const absl::Status started = instance.start();
  if (started.ok()) instance.stop();
  instance.destroy();
  host.judge(probe);
}

void checkExamination(Probe& probe) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  if (subject->plugin().examine == nullptr) return probe.skip("does not offer it");
  WatchedHost& host = WatchedHost::make(probe.path(""), "examined");
  RawInstance instance(probe, *subject->library, host);
  if (!probe.succeeds(instance.prepare(subject->options), "create and configure")) return;
  probe.step("examine");
  const plugins::Operation op("examine");
  plugins::FindingCollector findings;
  detail::ErrorSlot slot;
  const berth_code code =
      subject->plugin().examine(instance.handle(), op.op(), findings.get(), slot.get());
  probe.succeeds(judgedStatus(probe, "examine", code, slot.status(code).message()), "examine");
  bool refuses = false;
  for (const plugins::Finding& finding : findings.findings()) {
    probe.expect(!finding.what.empty(), "examine finds something without saying what");
    refuses = refuses || finding.kind == BERTH_FINDING_REFUSED;
  }
  instance.destroy();
  host.judge(probe);

  WatchedHost& other = WatchedHost::make(probe.path(""), "compared");
  RawInstance started(probe, *subject->library, other);
  if (!probe.succeeds(started.prepare(subject->options), "create and configure")) return;
  const absl::Status status = started.start();
  probe.expect(status.ok() || refuses, strCat("examine finds nothing wrong, and start fails: ",
                                              support::fromAbsl(status.message())));
  probe.expect(!status.ok() || !refuses, "examine says that start fails, and it succeeds");
  if (status.ok()) started.stop();
  started.destroy();
}

}  // namespace

std::vector<Check> lifeCycleChecks() {
  return {
      {.name = "life-cycle.order",
       .meaning = "An instance goes through its life; it calls the host only between start and "
                  "the return of stop.",
       .rule = "plugin.h: life cycle of an instance",
       .run = &checkOrder},
      {.name = "life-cycle.unstarted",
       .meaning = "An instance can be destroyed before it is configured and before it is started.",
       .rule = "plugin.h, configure: the instance may be made only to check a configuration",
       .run = &checkUnstarted},
      {.name = "life-cycle.failed-configure",
       .meaning = "An instance can be destroyed after options that are no JSON object.",
       .rule = "types.h: exceptions never cross a call",
       .run = &checkFailedConfigure},
      {.name = "life-cycle.failed-start",
       .meaning = "An instance is destroyed after a start that may have failed.",
       .rule = "plugin.h, start: on failure the host calls destroy",
       .run = &checkFailedStart},
      {.name = "life-cycle.repeated-steps",
       .meaning = "configure twice, and stop without start, do not end the process.",
       .rule = "plugin.h: no host does that; a plugin that bears it is easier to debug",
       .run = &checkRepeatedSteps,
       .advice = true},
      {.name = "life-cycle.instances",
       .meaning = "Several instances live in one process, each by itself.",
       .rule = "plugin.h: one instance for each table of the configuration",
       .run = &checkInstances},
      {.name = "life-cycle.future-host",
       .meaning = "It runs on a host of a later minor version, whose table is larger.",
       .rule = "types.h: structs only grow at their end within a major version",
       .run = &checkFutureHost},
      {.name = "life-cycle.examine",
       .meaning = "What examine says of start is true.",
       .rule = "plugin.h, examine: called after configure and in place of start",
       .run = &checkExamination},
  };
}

}  // namespace berth::check
