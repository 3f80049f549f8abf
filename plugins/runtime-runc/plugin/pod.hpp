// One pod: its monitor's connection and what is known of its containers.
#pragma once

#include <atomic>
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
#include "monitor_link.hpp"
#include "network_stats.hpp"
#include "records.hpp"

namespace berth::runc {

// Told from the client's reader thread: must not block.
class PodListener {
 public:
  virtual void onContainerExited(const std::string& pod, const protocol::ContainerStatus&) = 0;
  virtual void onContainerOom(const std::string& pod, const protocol::ContainerStatus&) = 0;
  // The connection to the monitor broke though nobody ended it: the monitor has died or not.
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
  protocol::ContainerStatus status;  // these two are guarded by the pod
  bool startGivenUp = false;
};

// Has the container come to its end, or failed to start?
bool hasEnded(const protocol::ContainerStatus& status);

// Thread-safe. The lock is held for memory accesses alone, never over a call.
class Pod final : private MonitorListener {
 public:
  Pod(PodRecord record, const CgroupLayout& layout, PodListener& listener);
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  const std::string& id() const { return id_; }
  PodRecord record() const;
  void setRecord(PodRecord record);

  MonitorLink& monitor() { return link_; }
  // Whether a connection has broken since this was asked last. To be asked before another is made:
  // a break after that is one more.
  bool takeBreak() { return breakUntold_.exchange(false); }
  void putBreakBack() { breakUntold_ = true; }
  bool isDead() const { return link_.isDead(); }

  // The one there is when it is known. RESOURCE_EXHAUSTED without a descriptor for it.
  absl::StatusOr<std::shared_ptr<Container>> add(ContainerRecord record);
  void remove(const std::string& container);
  std::shared_ptr<Container> find(std::string_view container) const;
  std::vector<std::shared_ptr<Container>> containers() const;
  std::vector<ContainerRecord> containerRecords() const;

  protocol::ContainerStatus status(const Container& container) const;
  // Takes over what a reply said, unless an event has told of the end already.
  void update(Container& container, const protocol::ContainerStatus& status);

  // A start whose outcome nobody knows counts as failed; what may have come of it is still to be
  // ended.
  void giveUpStart(Container& container);
  std::vector<std::shared_ptr<Container>> startsGivenUp() const;
  void settleStart(Container& container);

  // Counters of the pod's interfaces. Empty on the host's network.
  absl::StatusOr<std::vector<InterfaceStats>> interfaces();
  // Lets go of the pod's network namespace.
  void closeInterfaces();
  // Of the pod's own cgroup; nullptr when its parent holds others too.
  CgroupStats* ownStats() { return ownStats_ ? &*ownStats_ : nullptr; }
  // Empty when its parent holds others too.
  const std::string& ownCgroup() const { return ownCgroup_; }

 private:
  void onListing(const MonitorClient::Listing& listing) override;
  void onEvent(const MonitorEvent& event) override;
  void onBroken() override;
  void onDead() override;
  void updateLocked(Container& container, const protocol::ContainerStatus& status);

  const std::string id_;
  const CgroupLayout& layout_;
  PodListener& listener_;
  std::string ownCgroup_;
  std::optional<CgroupStats> ownStats_;

  mutable std::mutex mutex_;
  PodRecord record_;
  std::map<std::string, std::shared_ptr<Container>, std::less<>> containers_;

  std::mutex networkMutex_;
  std::optional<NetworkStats> network_;

  std::atomic<bool> breakUntold_ = false;

  // Goes first: until then it tells the rest.
  MonitorLink link_;
};

}  // namespace berth::runc
