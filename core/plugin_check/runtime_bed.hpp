// A started runtime with pods and containers on a root filesystem, for the checks of runtimes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugin_check/check.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/session.hpp"

namespace berth::check {

struct TestContainer {
  plugins::ContainerSpec spec;
  std::vector<std::string> arguments;
};

class RuntimeBed {
 public:
  // Null when the check is skipped.
  static std::unique_ptr<RuntimeBed> begin(Probe& probe);

  Probe& probe() { return probe_; }
  Session& session() { return *session_; }
  plugins::Runtime& plugin() { return session_->runtime(); }
  const plugins::Operation& op() const { return op_; }

  plugins::PodSpec podSpec();
  // Makes and starts a pod. Tells the probe when it fails.
  bool runPod(const plugins::PodSpec& spec, plugins::CreatedPod& created);
  // Stops and removes it, and fails for what is left of it.
  void removePod(const plugins::PodSpec& spec);

  // A container of the pod that is to run these arguments.
  TestContainer container(const plugins::PodSpec& pod, std::vector<std::string> arguments);
  // Tell the probe when they fail.
  bool create(const plugins::PodSpec& pod, const plugins::CreatedPod& created,
              TestContainer& container);
  bool run(const plugins::PodSpec& pod, const plugins::CreatedPod& created,
           TestContainer& container);
  // The exit code, or -1.
  int wait(const TestContainer& container);
  bool remove(const TestContainer& container);
  std::string logOf(const TestContainer& container) const;
  // Waits until the log has the text; false when it does not come.
  bool awaitLog(const TestContainer& container, std::string_view text) const;

  static std::string processDocument(const std::vector<std::string>& arguments, bool terminal);

 private:
  RuntimeBed(Probe& probe, std::unique_ptr<Session> session)
      : probe_(probe), session_(std::move(session)), op_("check", soon(std::chrono::seconds(55))) {}

  Probe& probe_;
  std::unique_ptr<Session> session_;
  plugins::Operation op_;
};

// A pod that is removed when the check is done with it.
struct RuntimePod {
  explicit RuntimePod(RuntimeBed& given) : bed(given), spec(given.podSpec()) {}
  ~RuntimePod() {
    if (made) bed.removePod(spec);
  }
  RuntimePod(const RuntimePod&) = delete;
  RuntimePod& operator=(const RuntimePod&) = delete;
  bool run() { return made = bed.runPod(spec, created); }

  RuntimeBed& bed;
  plugins::PodSpec spec;
  plugins::CreatedPod created;
  bool made = false;
};

// A check in a container that does nothing else.
template <void (*check)(RuntimeBed&, const plugins::ContainerSpec&)>
void inContainer(Probe& probe) {
  const auto bed = RuntimeBed::begin(probe);
  if (bed == nullptr) return;
  RuntimePod pod(*bed);
  if (!pod.run()) return;
  TestContainer container = bed->container(pod.spec, {"sleep", "600"});
  if (!bed->run(pod.spec, pod.created, container)) return;
  check(*bed, container.spec);
  bed->remove(container);
}

Check runtimeCheck(std::string_view name, std::string_view meaning, std::string_view rule,
                   void (*run)(Probe&));

// For what the cgroup file system still has of a name.
std::vector<std::string> cgroupsNamed(const std::string& name);

}  // namespace berth::check
