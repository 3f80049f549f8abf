#include "pod.hpp"

#include <cerrno>
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
    : id_(record.id),
      layout_(layout),
      listener_(listener),
      record_(std::move(record)),
      link_(id_, record_.runDir(), *this) {
  const auto parent = podCgroup(record_.cgroupParent, record_.driver);
  if (!record_.ownCgroup || !parent.ok() || parent->empty()) return;
  ownCgroup_ = *parent;
  ownStats_.emplace(layout, ownCgroup_);
}

PodRecord Pod::record() const {
  const std::lock_guard lock(mutex_);
  return record_;
}

void Pod::setRecord(PodRecord record) {
  const std::lock_guard lock(mutex_);
  record_ = std::move(record);
}

absl::StatusOr<std::shared_ptr<Container>> Pod::add(ContainerRecord record) {
  const std::lock_guard lock(mutex_);
  const auto known = containers_.find(record.id);
  if (known != containers_.end()) return known->second;
  const std::string id = record.id;
  auto container = std::make_shared<Container>(layout_, std::move(record));
  container->ended.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!container->ended)
    return support::errnoStatus(errno, strCat("make an eventfd for container ", id));
  container->status.containerId = id;
  // Before it is declared dead, or after.
  if (isDead()) signalEnded(*container);
  containers_.emplace(id, container);
  return container;
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

void Pod::giveUpStart(Container& container) {
  const std::lock_guard lock(mutex_);
  container.startGivenUp = true;
}

std::vector<std::shared_ptr<Container>> Pod::startsGivenUp() const {
  auto result = containers();
  const std::lock_guard lock(mutex_);
  std::erase_if(result, [](const auto& container) { return !container->startGivenUp; });
  return result;
}

void Pod::settleStart(Container& container) {
  const std::lock_guard lock(mutex_);
  container.startGivenUp = false;
}

void Pod::onListing(const MonitorClient::Listing& listing) {
  const std::lock_guard lock(mutex_);
  for (const protocol::ContainerStatus& status : listing.containers) {
    const auto found = containers_.find(status.containerId);
    if (found != containers_.end()) updateLocked(*found->second, status);
  }
}

void Pod::onEvent(const MonitorEvent& event) {
  if (event.kind == MonitorEvent::Kind::kOomKilled) {
    listener_.onContainerOom(id_, event.status);
    return;
  }
  if (const auto container = find(event.status.containerId)) update(*container, event.status);
  listener_.onContainerExited(id_, event.status);
}

void Pod::onBroken() {
  breakUntold_ = true;
  listener_.onMonitorLost(id_);
}

// Whoever waits for an exit will not hear of one.
void Pod::onDead() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, container] : containers_) signalEnded(*container);
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
