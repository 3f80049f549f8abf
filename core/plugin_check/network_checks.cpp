// Checks of networks, in a network namespace that stands for the host's.
#include <csignal>
#include <unistd.h>

#include "berth/plugin.hpp"
#include "berth/support/address.hpp"
#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/network_bed.hpp"
#include "plugin_check/wider.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kPods = 6;

void judgeAttachment(Probe& probe, const TestPod& pod) {
  const PodNamespace::Interfaces inside = pod.space->interfaces();
  probe.expect(inside.loopbackUp, "attach does not bring up the loopback interface");
  probe.expect(!pod.result.addresses.empty(), "attach gives no address");
  for (const std::string& address : pod.result.addresses) {
    if (!probe.expect(
            support::isAddress(address),
            strCat("attach gives \"", address, "\", which is no address without prefix length")))
      continue;
    if (!inside.addresses.contains(address))
      probe.warn(strCat("the address ", address, " is on no interface of the pod"));
  }
  if (!pod.result.result.empty())
    probe.succeeds(support::parseJson(pod.result.result, "result").status(),
                   "read the result of attach");
}

void checkAttach(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  probe.step("status");
  probe.succeeds(bed->plugin().status(bed->op()), "status");
  TestPod pod;
  if (!bed->makePod("pod", pod) || !bed->attach(pod)) return;
  judgeAttachment(probe, pod);
  probe.step("check");
  probe.succeeds(bed->plugin().check(bed->op(), pod.request, pod.result.state), "check");
  bed->detached(pod);
}

void checkDetach(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod first, second, third;
  if (!bed->makePod("first", first) || !bed->attach(first) || !bed->detached(first)) return;
  // A bridge may stay for the pods to come.
  const auto before = hostInterfaces().names;
  if (!bed->makePod("second", second) || !bed->attach(second)) return;
  const auto attached = second.space->interfaces().names;
  bed->detached(second);
  probe.expect(attached.size() <= 1 || second.space->interfaces().names.size() < attached.size(),
               "detach leaves the pod's interface in its namespace");
  bed->detached(second);
  probe.expect(hostInterfaces().names == before, "detach leaves interfaces on the host");
  probe.step("detach with the namespace gone and its path not known");
  if (!bed->makePod("third", third) || !bed->attach(third)) return;
  third.space.reset();
  third.request.namespacePath.clear();
  probe.succeeds(bed->detach(third), "detach with the namespace gone");
  probe.succeeds(bed->detach(third), "detach again with the namespace gone");
  TestPod unknown;
  if (!bed->makePod("unknown", unknown)) return;
  probe.succeeds(bed->detach(unknown), "detach of a pod that was never attached");
}

void checkWithoutState(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod pod;
  if (!bed->makePod("pod", pod) || !bed->attach(pod)) return;
  // As after a crash before the host had saved it.
  pod.result.state.clear();
  const auto attached = pod.space->interfaces().names;
  bed->detached(pod);
  probe.expect(attached.size() <= 1 || pod.space->interfaces().names.size() < attached.size(),
               "detach without the saved state leaves the pod's interface in its namespace");
}

void checkCheck(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod pod, empty;
  if (!bed->makePod("pod", pod) || !bed->attach(pod)) return;
  if (pod.space->interfaces().names.size() > 1) {
    if (!bed->makePod("empty", empty)) return;
    plugins::NetworkRequest moved = pod.request;
    moved.namespacePath = empty.space->path();
    probe.step("check of a namespace that has lost its interface");
    probe.fails(bed->plugin().check(bed->op(), moved, pod.result.state),
                "check of a namespace that has lost its interface",
                {absl::StatusCode::kFailedPrecondition});
  }
  probe.succeeds(bed->plugin().check(bed->op(), pod.request, pod.result.state), "check");
  bed->detached(pod);
  probe.step("check after detach");
  probe.fails(bed->plugin().check(bed->op(), pod.request, pod.result.state), "check after detach");
}

void checkGarbage(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod kept, lost;
  if (!bed->makePod("kept", kept) || !bed->attach(kept)) return;
  const auto before = hostInterfaces().names;
  if (!bed->makePod("lost", lost) || !bed->attach(lost)) return;
  probe.step("gc");
  probe.succeeds(bed->plugin().collectGarbage(bed->op(), {{kept.request.pod, kept.result.state}}),
                 "gc");
  probe.succeeds(bed->plugin().check(bed->op(), kept.request, kept.result.state),
                 "check of an attachment that gc was told to keep");
  probe.expect(hostInterfaces().names == before,
               "gc leaves interfaces of an attachment that is not wanted");
  probe.succeeds(bed->detach(lost), "detach of what gc has released");
  bed->detached(kept);
  probe.step("gc with nothing wanted");
  probe.succeeds(bed->plugin().collectGarbage(bed->op(), {}), "gc with nothing wanted");
}

void checkFailure(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod first, missing;
  if (!bed->makePod("first", first) || !bed->attach(first) || !bed->detached(first)) return;
  const auto before = hostInterfaces().names;
  if (!bed->makePod("missing", missing)) return;
  missing.request.namespacePath = probe.path("no-such-namespace");
  probe.step("attach to a namespace that is not there");
  probe.fails(bed->plugin().attach(bed->op(), missing.request).status(),
              "attach to a namespace that is not there");
  probe.expect(hostInterfaces().names == before, "a failed attach leaves interfaces on the host");
  probe.succeeds(bed->detach(missing), "detach after a failed attach");
  missing.request.namespacePath = missing.space->path();
  if (bed->attach(missing)) bed->detached(missing);
}

void checkErrors(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  plugins::NetworkRequest empty;
  probe.step("attach of a pod without an id");
  probe.fails(bed->plugin().attach(bed->op(), empty).status(), "attach of a pod without an id");
  TestPod pod;
  if (!bed->makePod("pod", pod)) return;
  probe.step("check of an unknown pod");
  probe.fails(bed->plugin().check(bed->op(), pod.request, ""), "check of an unknown pod");
  probe.step("detach with a state that is none");
  bed->plugin().detach(bed->op(), pod.request, "\xff not a state").IgnoreError();
  for (const char* cidr : {"", "10.88.0.0/99", "no range"}) {
    probe.step(strCat("set_pod_cidr ", cidr));
    bed->plugin().setPodCidr(bed->op(), cidr).IgnoreError();
  }
  const auto& table =
      *static_cast<const berth_network*>(bed->session().library().description().functions);
  berth_network_request request{};
  request.size = sizeof request;
  request.pod = str(pod.request.pod);
  probe.step("a failing call without an error argument");
  const berth_code code = table.check(bed->session().instance().handle(), bed->op().op(), &request,
                                      {nullptr, 0}, nullptr);
  probe.expect(code != BERTH_OK, "check of an unknown pod without an error argument succeeds");
}

void checkConcurrent(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  std::vector<TestPod> pods(kPods);
  for (size_t i = 0; i < kPods; ++i) {
    if (!bed->makePod(strCat("pod-", i), pods[i])) return;
  }
  probe.step("attach several pods at the same time");
  probe.succeeds(support::inParallel(kPods, kPods,
                                     [&](size_t i) -> absl::Status {
                                       BERTH_ASSIGN_OR_RETURN(
                                           pods[i].result,
                                           bed->plugin().attach(bed->op(), pods[i].request));
                                       return absl::OkStatus();
                                     }),
                 "attach several pods at the same time");
  std::set<std::string> addresses;
  for (const TestPod& pod : pods) {
    if (!pod.result.addresses.empty())
      probe.expect(addresses.insert(pod.result.addresses.front()).second ||
                       !pod.space->interfaces().addresses.contains(pod.result.addresses.front()),
                   strCat("two pods have the address ", pod.result.addresses.front()));
  }
  probe.step("detach several pods at the same time");
  probe.succeeds(support::inParallel(kPods, kPods,
                                     [&](size_t i) {
                                       return bed->plugin().detach(bed->op(), pods[i].request,
                                                                   pods[i].result.state);
                                     }),
                 "detach several pods at the same time");
}

void checkCancellation(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod pod;
  if (!bed->makePod("pod", pod)) return;
  judgeCancelledBefore(probe, "attach", [&](const plugins::Operation& op) -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(pod.result, bed->plugin().attach(op, pod.request));
    return absl::OkStatus();
  });
  judgeCancelledBefore(probe, "status",
                       [&](const plugins::Operation& op) { return bed->plugin().status(op); });
  judgeCancelledBefore(probe, "detach", [&](const plugins::Operation& op) {
    return bed->plugin().detach(op, pod.request, pod.result.state);
  });
  bed->detached(pod);
  probe.expect(pod.space->interfaces().names.size() <= 1,
               "a cancelled attach, detached, leaves an interface in the namespace");
}

void checkFutureStructs(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  std::vector<TestPod> pods(2);
  std::vector<Wider<berth_attachment>> wanted;
  for (size_t i = 0; i < pods.size(); ++i) {
    if (!bed->makePod(strCat("pod-", i), pods[i]) || !bed->attach(pods[i])) return;
    wanted.emplace_back(berth_attachment{0, str(pods[i].request.pod), bytes(pods[i].result.state)});
  }
  const auto& table =
      *static_cast<const berth_network*>(bed->session().library().description().functions);
  void* handle = bed->session().instance().handle();
  probe.step("gc with attachments of a later version");
  probe.succeeds(bed->session().instance().call({},
                                                [&](berth_error* error) {
                                                  return table.gc(handle, bed->op().op(),
                                                                  &wanted.front().known,
                                                                  wanted.size(), error);
                                                }),
                 "gc with attachments of a later version");
  for (const TestPod& pod : pods) {
    berth_network_request known{};
    known.pod = str(pod.request.pod);
    known.name = str(pod.request.name);
    known.pod_namespace = str(pod.request.podNamespace);
    known.uid = str(pod.request.uid);
    known.namespace_path = str(pod.request.namespacePath);
    const Wider<berth_network_request> request(known);
    probe.step("check with a request of a later version");
    probe.succeeds(bed->session().instance().call({},
                                                  [&](berth_error* error) {
                                                    return table.check(
                                                        handle, bed->op().op(), &request.known,
                                                        bytes(pod.result.state), error);
                                                  }),
                   "check with a request of a later version, after gc was to keep it");
    bed->detached(pod);
  }
}

// The process that is killed with a pod attached: it writes down what a host would have saved.
void crash(Probe& probe) {
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  TestPod pod;
  pod.request.pod = std::string(64, 'c');
  pod.request.name = "pod";
  pod.request.podNamespace = "default";
  pod.request.namespacePath = probe.path("netns-pod");
  if (!bed->attach(pod)) return;
  probe.succeeds(support::replaceFile(probe.path("saved"), pod.result.state, 0600,
                                      support::Durability::kVisible),
                 "save the state");
  probe.ready();
  for (;;) ::pause();
}

void checkCrash(Probe& probe) {
  if (!probe.part().empty()) return crash(probe);
  if (probe.library() == nullptr) return;
  const auto space = PodNamespace::make(probe.path("netns-pod"));
  if (!space.ok()) return probe.skip(support::fromAbsl(space.status().message()));
  if (!probe.killPart("killed")) return;
  const auto bed = NetworkBed::begin(probe);
  if (bed == nullptr) return;
  const auto state = support::readFile(probe.path("saved"));
  if (!probe.succeeds(state.status(), "read the saved state")) return;
  plugins::NetworkRequest request;
  request.pod = std::string(64, 'c');
  request.name = "pod";
  request.podNamespace = "default";
  request.namespacePath = (*space)->path();
  probe.step("check after a crash");
  probe.succeeds(bed->plugin().check(bed->op(), request, *state), "check after a crash");
  probe.step("detach after a crash");
  probe.succeeds(bed->plugin().detach(bed->op(), request, *state), "detach after a crash");
  probe.expect((*space)->interfaces().names.size() <= 1,
               "detach after a crash leaves the pod's interface in its namespace");
}

}  // namespace

std::vector<Check> networkChecks() {
  const auto kind = plugins::Kind::kNetwork;
  const auto check = [&](std::string_view name, std::string_view meaning, std::string_view rule,
                         void (*run)(Probe&)) {
    return Check{.name = name,
                 .meaning = meaning,
                 .rule = rule,
                 .run = run,
                 .rights = Rights::kNetwork,
                 .kind = kind};
  };
  return {
      check("network.attach", "A pod gets its loopback interface and valid addresses.",
            "network.h: attach (brings up loopback and connects the namespace), status, check",
            &checkAttach),
      check("network.detach", "Detaching releases all, any number of times.",
            "network.h, detach: idempotent; also when the namespace is gone", &checkDetach),
      check("network.without-state", "Detaching works from the request alone.",
            "network.h, detach: works from the request, the saved state, or both",
            &checkWithoutState),
      check("network.check", "Check tells what is attached from what is not.",
            "network.h, check: FAILED_PRECONDITION with what is wrong", &checkCheck),
      check("network.gc", "What is not wanted any more is released, and nothing else.",
            "network.h, gc: releases everything of attachments that are not in the list",
            &checkGarbage),
      check("network.failure", "A failed attach gives everything back.",
            "network.h, attach: on failure everything taken is given back", &checkFailure),
      check("network.errors", "Requests without sense fail with a code and a message.",
            "types.h: anything but BERTH_OK also sets the call's berth_error", &checkErrors),
      check("network.concurrent", "Several pods are attached and detached at the same time.",
            "plugin.h, berth_threading", &checkConcurrent),
      check("network.cancellation", "Cancelled calls return within two seconds.",
            "types.h, berth_op: after cancellation or the deadline the plugin returns",
            &checkCancellation),
      check("network.future-structs", "Structs of a later version are read as far as known.",
            "types.h: the reader copies the smaller of both sizes; berth_at", &checkFutureStructs),
      check("network.crash", "After the process is killed a pod is still attached, and detached.",
            "network.h, detach: also after an attach that was cut off by a crash", &checkCrash),
  };
}

}  // namespace berth::check
