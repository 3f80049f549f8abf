// What the daemon finds when it starts.
#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "engine/objects.hpp"
#include "engine/orphans.hpp"
#include "plugins/runtime.hpp"

namespace berth::engine {

class Engine;

// The part of the engine that reads the records and asks the world what became of what they
// describe. Thread-safe, but for run().
class Recovery {
 public:
  explicit Recovery(Engine& engine) : engine_(engine), orphans_(engine) {}

  // See Engine::recover().
  absl::Status run();
  // Asks the runtime what became of the pod, and records it. OK: it is known, the pod's end
  // included. Whoever calls has the pod's turn.
  absl::Status reach(plugins::Operation& op, Pod& pod);
  // What nobody will tell any more: the pod has no isolation, its containers have ended.
  void recordLoss(Pod& pod);
  void endContainersOf(Pod& pod, std::string_view message);
  // Asks the runtime for the exits of a lost pod's containers; `message` is for those it does not
  // know. CANCELLED: nothing is recorded for these.
  absl::Status collectExits(plugins::Operation& op, Pod& lost, std::string_view message);
  // Waits for the first collection of the network's garbage, or the one that is under way: it would
  // take an attachment for garbage that is not on record as wanted when it begins.
  absl::Status awaitNetwork(const plugins::Operation& op) const;
  // Has a network give back what it holds for pods that are not on record as attached by now; this
  // is tried until it is done. Does not block.
  void collectNetworkGarbage(const std::string& network);
  // Takes up the pods that are left as they are for want of this runtime, as a start does: it
  // serves now (comeback.cpp). Idempotent.
  void takeUp(const std::string& runtime);
  // Has each runtime that is out of service tried again now; they are named.
  std::vector<std::string> hurryRuntimes();

 private:
  absl::Status loadPods();
  absl::Status loadContainers();
  bool putOn(Pod& pod, const std::shared_ptr<plugins::Runtime>& runtime) const;
  void setAside(std::string_view kind, const std::string& id, std::string_view reason);
  absl::Status collect(plugins::Operation& op, const std::string& network, uint64_t number);
  void collectCheckpointGarbage();
  // Of the deletions that the last daemon has not told (departed.cpp).
  absl::Status tellOfDeparted();
  void tryRuntimesAgain();
  absl::Status tryAgain(plugins::Operation& op, const std::string& runtime, std::string& said);
  void recoverPod(const std::shared_ptr<Pod>& pod);
  absl::Status reachAndSettle(plugins::Operation& op, const std::shared_ptr<Pod>& pod);
  void settleContainersOf(const Pod& pod);
  void finishStop(const std::shared_ptr<Pod>& pod);
  void adoptStatuses(Pod& pod, const std::vector<plugins::ContainerStatus>& statuses);
  void endUnwanted(const std::shared_ptr<Container>& container);
  absl::Status adoptStatus(Container& container, const plugins::ContainerStatus* status);

  Engine& engine_;
  Orphans orphans_;
  std::mutex takingUp_;
  std::set<std::string> out_;    // runtimes whose pods are to be taken up; with the mutex
  std::timed_mutex collecting_;  // held through a try
  // These change under the engine's mapsMutex_.
  std::map<std::string, uint64_t> collections_;  // the last that was asked for, by network
  std::promise<void> networkCollected_;          // of one try
  std::shared_future<void> networkReady_ = networkCollected_.get_future().share();
};

}  // namespace berth::engine
