#include "pod.hpp"

#include <sys/eventfd.h>
#include <utility>

#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

void signalEnded(const Container& container) {
  // It can only fail when the counter is full, and then it is readable all the same.
  (void)::eventfd_write(container.ended.get(), 1);
}

}  // namespace

bool hasEnded(const protocol::ContainerStatus& status) {
  using State = protocol::ContainerState;
  return status.state == State::kExited || status.state == State::kStartFailed ||
         status.state == State::kDeleting;
}

Pod::Pod(PodRecord record, const CgroupLayout& layout, PodListener& listener)
    : id_(record.id), layout_(layout), listener_(listener), record_(std::move(record)) {
  const auto parent = podCgroup(record_.cgroupParent, record_.driver);
  if (!record_.ownCgroup || !parent.ok() || parent->empty()) return;
  ownCgroup_ = *parent;
  ownStats_.emplace(layout, ownCgroup_);
}

Pod::~Pod() {
  disconnect();
}

PodRecord Pod::record() const {
  const std::lock_guard lock(mutex_);
  return record_;
}

void Pod::setRecord(PodRecord record) {
  const std::lock_guard lock(mutex_);
  record_ = std::move(record);
}

absl::Status Pod::connect(const CallLimits& limits) {
  for (ContainerRecord& record : loadContainerRecords(this->record())) add(std::move(record));
  BERTH_ASSIGN_OR_RETURN(
      std::shared_ptr<MonitorClient> client,
      MonitorClient::connect(
          record().runDir(), [this](const MonitorEvent& event) { handle(event); }, limits));
  BERTH_ASSIGN_OR_RETURN(const MonitorClient::Listing listing, client->subscribe(limits));
  const std::lock_guard lock(mutex_);
  for (const protocol::ContainerStatus& status : listing.containers) {
    const auto found = containers_.find(status.containerId);
    if (found != containers_.end()) updateLocked(*found->second, status);
  }
  if (lost_) return absl::NotFoundError(strCat("the monitor of pod ", id_, " has just ended"));
  client_ = std::move(client);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<MonitorClient>> Pod::client() const {
  const std::lock_guard lock(mutex_);
  if (client_ != nullptr && !lost_) return client_;
  return absl::UnavailableError(
      strCat("the monitor of pod ", id_, " is gone; stop and remove the pod"));
}

void Pod::disconnect() {
  std::shared_ptr<MonitorClient> client;
  {
    const std::lock_guard lock(mutex_);
    endExpected_ = true;
    client = std::exchange(client_, nullptr);
  }
  // Its end waits for a handler, which takes the lock.
  client.reset();
}

void Pod::expectEnd() {
  const std::lock_guard lock(mutex_);
  endExpected_ = true;
}

std::shared_ptr<Container> Pod::add(ContainerRecord record) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Container>& slot = containers_[record.id];
  if (slot != nullptr) return slot;
  slot = std::make_shared<Container>(layout_, record);
  slot->ended.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  slot->status.containerId = record.id;
  return slot;
}

void Pod::remove(const std::string& container) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(container);
  if (found == containers_.end()) return;
  signalEnded(*found->second);
  containers_.erase(found);
}

std::shared_ptr<Container> Pod::find(std::string_view container) const {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(container);
  return found == containers_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Container>> Pod::containers() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Container>> result;
  result.reserve(containers_.size());
  for (const auto& [id, container] : containers_) result.push_back(container);
  return result;
}

std::vector<ContainerRecord> Pod::containerRecords() const {
  std::vector<ContainerRecord> result;
  for (const auto& container : containers()) result.push_back(container->record);
  return result;
}

protocol::ContainerStatus Pod::status(const Container& container) const {
  const std::lock_guard lock(mutex_);
  return container.status;
}

void Pod::update(Container& container, const protocol::ContainerStatus& status) {
  const std::lock_guard lock(mutex_);
  updateLocked(container, status);
}

void Pod::updateLocked(Container& container, const protocol::ContainerStatus& status) {
  if (hasEnded(container.status)) return;
  container.status = status;
  if (!hasEnded(status)) return;
  container.stats.release();
  signalEnded(container);
}

void Pod::handle(const MonitorEvent& event) {
  using Kind = MonitorEvent::Kind;
  if (event.kind == Kind::kContainerExited) {
    if (const auto container = find(event.status.containerId)) update(*container, event.status);
    listener_.onContainerExited(id_, event.status);
  } else if (event.kind == Kind::kOomKilled) {
    listener_.onContainerOom(id_, event.status);
  } else {
    bool expected = false;
    {
      const std::lock_guard lock(mutex_);
      lost_ = true;
      expected = endExpected_;
      // Whoever waits for an exit will not hear of one.
      for (const auto& [id, container] : containers_) signalEnded(*container);
    }
    if (!expected) listener_.onMonitorLost(id_);
  }
}

absl::StatusOr<std::vector<InterfaceStats>> Pod::interfaces() {
  const std::string pin = record().netPin;
  if (pin.empty()) return std::vector<InterfaceStats>();
  const std::lock_guard lock(networkMutex_);
  if (!network_) {
    BERTH_ASSIGN_OR_RETURN(network_, NetworkStats::open(pin));
  }
  auto found = network_->read();
  // Half an answer may be left in the socket: the next one starts afresh.
  if (!found.ok()) network_.reset();
  return found;
}

void Pod::closeInterfaces() {
  const std::lock_guard lock(networkMutex_);
  network_.reset();
}

}  // namespace berth::runc
