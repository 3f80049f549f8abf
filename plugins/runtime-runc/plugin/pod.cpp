#include "pod.hpp"

#include <cerrno>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "berth/support/status.hpp"
#include "call_limits.hpp"

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
  uint64_t connection = 0;
  {
    const std::lock_guard lock(mutex_);
    connection = ++attempts_;
  }
  BERTH_ASSIGN_OR_RETURN(
      std::shared_ptr<MonitorClient> client,
      MonitorClient::connect(
          record().runDir(),
          [this, connection](const MonitorEvent& event) { handle(event, connection); }, limits));
  const protocol::PodFacts& facts = client->facts();
  if (facts.podId != id_) {
    return absl::FailedPreconditionError(strCat("the monitor in ", record().runDir(),
                                                " is that of pod ", facts.podId, ", not of ", id_,
                                                ": move the folder away and remove the pod"));
  }
  const auto monitor = std::make_shared<const support::Fd>(
      static_cast<int>(::syscall(SYS_pidfd_open, facts.monitorPid, 0)));
  // It is what proves the monitor's end later on. ESRCH: it has ended already.
  if (!*monitor && errno != ESRCH)
    return support::errnoStatus(errno, strCat("open process ", facts.monitorPid, ", a monitor"));
  BERTH_ASSIGN_OR_RETURN(const MonitorClient::Listing listing, client->subscribe(limits));
  const std::lock_guard lock(mutex_);
  for (const protocol::ContainerStatus& status : listing.containers) {
    const auto found = containers_.find(status.containerId);
    if (found != containers_.end()) updateLocked(*found->second, status);
  }
  if (broken_ >= connection)
    return absl::NotFoundError(strCat("the monitor of pod ", id_, " has just ended"));
  connected_ = connection;
  monitor_ = monitor;
  // The one that broke goes after the lock: its end waits for its handler.
  client_.swap(client);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<MonitorClient>> Pod::client() const {
  const std::lock_guard lock(mutex_);
  if (client_ != nullptr && broken_ < connected_ && !dead_) return client_;
  return absl::UnavailableError(
      dead_ ? strCat("the monitor of pod ", id_, " is gone; stop and remove the pod")
            : strCat("the monitor of pod ", id_, " is not connected at this moment"));
}

bool Pod::isDead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

void Pod::declareDead() {
  const std::lock_guard lock(mutex_);
  dead_ = true;
  // Whoever waits for an exit will not hear of one.
  for (const auto& [id, container] : containers_) signalEnded(*container);
}

absl::Status Pod::awaitMonitorEnd(const CallLimits& limits) const {
  std::shared_ptr<const support::Fd> monitor;
  {
    const std::lock_guard lock(mutex_);
    monitor = monitor_;
  }
  if (monitor == nullptr || !*monitor) return absl::OkStatus();
  return waitReadable(monitor->get(), limits, strCat("wait for the end of the monitor of ", id_));
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
  if (dead_) signalEnded(*container);
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

void Pod::handle(const MonitorEvent& event, uint64_t connection) {
  using Kind = MonitorEvent::Kind;
  if (event.kind == Kind::kContainerExited) {
    if (const auto container = find(event.status.containerId)) update(*container, event.status);
    listener_.onContainerExited(id_, event.status);
  } else if (event.kind == Kind::kOomKilled) {
    listener_.onContainerOom(id_, event.status);
  } else {
    noteBreak(connection);
  }
}

void Pod::noteBreak(uint64_t connection) {
  {
    const std::lock_guard lock(mutex_);
    if (broken_ >= connection) return;
    broken_ = connection;
    // One that is still being made is known to its maker.
    if (connection != connected_ || endExpected_) return;
  }
  listener_.onMonitorLost(id_);
}

void Pod::giveUp(const MonitorClient& client) {
  uint64_t connection = 0;
  {
    const std::lock_guard lock(mutex_);
    if (client_.get() == &client) connection = connected_;
  }
  noteBreak(connection);
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
