// One pod: its monitor's connection and what is known of its containers.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "cgroup_stats.hpp"
#include "monitor_client.hpp"
#include "network_stats.hpp"
#include "records.hpp"

namespace berth::runc {

// Told from the client's reader thread: must not block.
class PodListener {
 public:
  virtual void onContainerExited(const std::string& pod, const protocol::ContainerStatus&) = 0;
  virtual void onContainerOom(const std::string& pod, const protocol::ContainerStatus&) = 0;
  // The connection to the monitor broke though it was not told to go: it has died or not.
  virtual void onMonitorLost(const std::string& pod) = 0;

 protected:
  ~PodListener() = default;
};

// Members other than the status never change.
struct Container {
  Container(const CgroupLayout& layout, ContainerRecord made)
      : record(std::move(made)), stats(layout, record.cgroup) {}

  const ContainerRecord record;
  CgroupStats stats;
  // An eventfd that stays readable once the container has ended or the pod is dead: any number of
  // threads can wait for it together with their call's cancellation.
  support::Fd ended;
  protocol::ContainerStatus status;  // guarded by the pod
};

// Has the container come to its end, or failed to start?
bool hasEnded(const protocol::ContainerStatus& status);

// Thread-safe. The lock is held for memory accesses alone, never over a call.
class Pod {
 public:
  Pod(PodRecord record, const CgroupLayout& layout, PodListener& listener);
  ~Pod();
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  const std::string& id() const { return id_; }
  PodRecord record() const;
  void setRecord(PodRecord record);

  // Connects to the monitor (anew, when a connection broke), learns of its containers and of their
  // events from here on. NOT_FOUND when the monitor is dead.
  absl::Status connect(const CallLimits& limits);
  // UNAVAILABLE when there is no connection. Let go of it before the pod.
  absl::StatusOr<std::shared_ptr<MonitorClient>> client() const;
  // What a call over `client` found before anything was heard of it: that its connection is broken.
  void giveUp(const MonitorClient& client);
  // That the monitor is known to be gone; nothing brings it back.
  bool isDead() const;
  void declareDead();
  // Waits until the monitor that was connected to last has ended as a process. OK at once when it
  // never was one.
  absl::Status awaitMonitorEnd(const CallLimits& limits) const;
  // Hangs up. Containers go on.
  void disconnect();
  // From here on the end of the connection is no loss.
  void expectEnd();

  // The one there is when it is known. RESOURCE_EXHAUSTED without a descriptor for it.
  absl::StatusOr<std::shared_ptr<Container>> add(ContainerRecord record);
  void remove(const std::string& container);
  std::shared_ptr<Container> find(std::string_view container) const;
  std::vector<std::shared_ptr<Container>> containers() const;
  std::vector<ContainerRecord> containerRecords() const;

  protocol::ContainerStatus status(const Container& container) const;
  // Takes over what a reply said, unless an event has told of the end already.
  void update(Container& container, const protocol::ContainerStatus& status);

  // Counters of the pod's interfaces. Empty on the host's network.
  absl::StatusOr<std::vector<InterfaceStats>> interfaces();
  // Lets go of the pod's network namespace.
  void closeInterfaces();
  // Of the pod's own cgroup; nullptr when its parent holds others too.
  CgroupStats* ownStats() { return ownStats_ ? &*ownStats_ : nullptr; }
  // Empty when its parent holds others too.
  const std::string& ownCgroup() const { return ownCgroup_; }

 private:
  void handle(const MonitorEvent& event, uint64_t connection);
  void noteBreak(uint64_t connection);
  void updateLocked(Container& container, const protocol::ContainerStatus& status);

  const std::string id_;
  const CgroupLayout& layout_;
  PodListener& listener_;
  std::string ownCgroup_;
  std::optional<CgroupStats> ownStats_;

  mutable std::mutex mutex_;
  PodRecord record_;
  bool endExpected_ = false;
  bool dead_ = false;
  // Connections are numbered: what is heard of the end of an earlier one says nothing.
  uint64_t attempts_ = 0;
  uint64_t connected_ = 0;                      // 0: none
  uint64_t broken_ = 0;                         // the latest that broke
  std::shared_ptr<const support::Fd> monitor_;  // a pidfd
  std::map<std::string, std::shared_ptr<Container>, std::less<>> containers_;
  std::shared_ptr<MonitorClient> client_;

  std::mutex networkMutex_;
  std::optional<NetworkStats> network_;
};

}  // namespace berth::runc
