#include "pod.hpp"

#include <cerrno>
#include <sys/eventfd.h>
#include <utility>

#include "berth/support/files.hpp"
#include "berth/support/lock_within.hpp"
#include "berth/support/status.hpp"
#include "host_parts.hpp"

namespace berth::kata {

using support::strCat;

absl::StatusOr<std::shared_ptr<Pod>> Pod::make(PodRecord record, PodListener& listener) {
  support::Fd ended(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ended) return support::errnoStatus(errno, strCat("make an eventfd for pod ", record.id));
  return std::shared_ptr<Pod>(new Pod(std::move(record), listener, std::move(ended)));
}

Pod::Pod(PodRecord record, PodListener& listener, support::Fd sandboxEnded)
    : id_(record.id),
      keeperDirectory_(record.keeperDirectory()),
      listener_(listener),
      record_(std::move(record)) {
  sandbox_.ended = std::move(sandboxEnded);
}

Pod::~Pod() {
  close();
}

PodRecord Pod::record() const {
  const std::lock_guard lock(mutex_);
  return record_;
}

absl::Status Pod::changeRecord(const std::function<void(PodRecord&)>& change) {
  PodRecord copy;
  {
    const std::lock_guard lock(mutex_);
    change(record_);
    copy = record_;
  }
  return save(copy);
}

ShimCall Pod::shimCall(std::string_view container, std::string_view bundle) const {
  const PodRecord record = this->record();
  return {.binary = record.shim,
          .id = std::string(container),
          .bundle = std::string(bundle),
          .eventsAddress = record.eventsSocket,
          .publisher = record.keeper};
}

std::string Pod::fifo(const std::string& key, std::string_view stream) const {
  return strCat(record().streamsDirectory(), "/", key, "-", stream);
}

// ---- the shim's connection ---------------------------------------------------------------------

// Null when there is none.
absl::StatusOr<std::shared_ptr<TaskClient>> Pod::connected() const {
  const std::lock_guard lock(mutex_);
  if (dead_) return absl::UnavailableError(strCat("the shim of pod ", id_, " has ended"));
  return shim_ != nullptr && !shim_->isBroken() ? shim_ : nullptr;
}

absl::StatusOr<std::shared_ptr<TaskClient>> Pod::shim(const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(auto known, connected());
  if (known != nullptr) return known;
  const std::string doing = strCat("reach the shim of ", id_);
  std::unique_lock connecting(connecting_, std::defer_lock);
  BERTH_RETURN_IF_ERROR(support::lockWithin(connecting, limits, doing));
  BERTH_ASSIGN_OR_RETURN(known, connected());
  if (known != nullptr) return known;
  const ShimAddress address = record().address;
  if (address.address.empty()) {
    return absl::FailedPreconditionError(strCat("pod ", id_, " has not been started"));
  }
  auto client =
      TaskClient::connect(address, limits, [this] { post({.kind = Task::Kind::kBroken}); });
  if (absl::IsNotFound(client.status()) || absl::IsUnavailable(client.status())) {
    return absl::UnavailableError(strCat("the shim of pod ", id_, " has ended"));
  }
  if (!client.ok()) return support::annotate(client.status(), doing);
  // The one before goes without the lock: its last replies may want it.
  std::shared_ptr<TaskClient> before = *client;
  {
    const std::lock_guard lock(mutex_);
    shim_.swap(before);
  }
  return client;
}

bool Pod::isDead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

void Pod::beginEnding() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
}

bool Pod::isEnding() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

absl::Status Pod::takeEnd(std::unique_lock<std::mutex>& lock, const CallLimits& limits) {
  lock = std::unique_lock(end_, std::defer_lock);
  return support::lockWithin(lock, limits, strCat("wait for another call that ends pod ", id_));
}

void Pod::wake(const Awaited& awaited) const {
  // It can only fail when the counter is full, and then it is readable all the same.
  (void)::eventfd_write(awaited.ended.get(), 1);
}

void Pod::declareDead() {
  const std::lock_guard lock(mutex_);
  dead_ = true;
  wake(sandbox_);
  for (const auto& [id, container] : containers_) wake(*container);
  for (const auto& [key, exec] : execs_) wake(*exec);
}

// ---- containers --------------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<Container>> Pod::add(ContainerRecord record) {
  auto container = std::make_shared<Container>();
  container->ended.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!container->ended) return support::errnoStatus(errno, "make an eventfd for a container");
  container->record = std::move(record);
  const std::lock_guard lock(mutex_);
  const auto [place, added] = containers_.emplace(container->record.id, container);
  if (container->record.stage == Stage::kExited || dead_) wake(*container);
  return place->second;
}

void Pod::remove(const std::string& container) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(container);
  if (found == containers_.end()) return;
  wake(*found->second);
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

ContainerRecord Pod::recordOf(const Container& container) const {
  const std::lock_guard lock(mutex_);
  return container.record;
}

absl::Status Pod::change(Container& container,
                         const std::function<void(ContainerRecord&)>& change) {
  ContainerRecord copy;
  {
    const std::lock_guard lock(mutex_);
    change(container.record);
    copy = container.record;
  }
  return save(record(), copy);
}

// With cgroup v1 a cgroup keeps its count until the task is deleted. With v2 systemd removes an
// empty one at once.
void Pod::watchMemory(Container& container, int64_t pid, const CallLimits& limits) {
  constexpr auto kPatience = std::chrono::seconds(2);
  if (!hasCgroupV2Alone()) return;
  const std::string id = recordOf(container).id;
  const auto text = support::readFile(strCat("/proc/", pid, "/cgroup"));
  // That of a virtual machine is the pod's.
  const std::string cgroup = text.ok() ? cgroupNamed(id, *text) : "";
  if (cgroup.empty()) return;
  {
    // First: a keeper that takes the place of one that is gone watches it, too.
    const std::lock_guard lock(mutex_);
    container.record.cgroup = cgroup;
  }
  const keeper::Request watch{
      .operation = keeper::Operation::kWatchMemory, .key = id, .cgroup = cgroup};
  const absl::Status watched = keeper().call(watch, within(limits, kPatience)).status();
  // One of before this operation leaves it to the shim.
  const bool isFine =
      watched.ok() || absl::IsUnimplemented(watched) || absl::IsUnavailable(watched);
  if (isFine) return;
  warn("a container's kills for want of memory are told by its shim alone", watched);
}

// ---- what is executed --------------------------------------------------------------------------

CallLimits Exec::withStreams(CallLimits limits) const {
  limits.peerFd = keeper.get();
  limits.peer = "the pod's keeper, which had its streams,";
  return limits;
}

absl::StatusOr<std::shared_ptr<Exec>> Pod::addExec(std::string_view container, std::string_view id,
                                                   support::Fd keeper) {
  auto exec = std::make_shared<Exec>();
  exec->ended.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!exec->ended) return support::errnoStatus(errno, "make an eventfd for a process");
  exec->container = container;
  exec->id = id;
  exec->keeper = std::move(keeper);
  const std::lock_guard lock(mutex_);
  if (!execs_.emplace(exec->key(), exec).second) {
    return absl::AlreadyExistsError(strCat("container ", container, " has a process ", id));
  }
  return exec;
}

std::shared_ptr<Exec> Pod::findExec(std::string_view container, std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = execs_.find(strCat(container, ".", id));
  return found == execs_.end() ? nullptr : found->second;
}

void Pod::removeExec(const Exec& exec) {
  const std::lock_guard lock(mutex_);
  execs_.erase(exec.key());
}

bool Pod::inputEndIsDue(Exec& exec, bool starts) {
  const std::lock_guard lock(mutex_);
  (starts ? exec.started : exec.inputEnded) = true;
  return exec.started && exec.inputEnded;
}

// ---- ends --------------------------------------------------------------------------------------

namespace {

// Of a question that must go out, whatever becomes of the call that it is asked for.
constexpr auto kSendTime = std::chrono::seconds(2);

bool isUnsent(const absl::Status& reply) {
  return absl::IsDeadlineExceeded(reply) || absl::IsCancelled(reply);
}

}  // namespace

void Pod::awaitContainer(TaskClient& shim, const std::shared_ptr<Container>& container) {
  api::WaitRequest request;
  request.set_id(recordOf(*container).id);
  shim.begin("Wait", request, limitsFor(kSendTime),
             [this, container](absl::StatusOr<std::string> reply) {
               api::WaitResponse response;
               // A connection that breaks is asked for anew.
               if (absl::IsUnavailable(reply.status())) return;
               if (isUnsent(reply.status())) return post({.kind = Task::Kind::kUnsent});
               const bool known = reply.ok() && response.ParseFromString(*reply);
               post({.kind = Task::Kind::kExit,
                     .container = container,
                     .exitCode = known ? static_cast<int>(response.exit_status()) : 255,
                     .exitedAt = nanosecondsOf(response.exited_at())});
             });
  settleIfLost(container);
}

void Pod::awaitExec(TaskClient& shim, const std::shared_ptr<Exec>& exec) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(exec->awaited, true)) return;
  }
  api::WaitRequest request;
  request.set_id(exec->container);
  request.set_exec_id(exec->id);
  shim.begin("Wait", request, limitsFor(kSendTime),
             [this, exec](absl::StatusOr<std::string> reply) {
               api::WaitResponse response;
               const std::lock_guard lock(mutex_);
               exec->known = reply.ok() && response.ParseFromString(*reply);
               exec->awaited = exec->known;
               exec->exitCode = static_cast<int>(response.exit_status());
               wake(*exec);
             });
}

std::optional<int> Pod::exitCodeOf(const Exec& exec) const {
  const std::lock_guard lock(mutex_);
  return exec.known ? std::optional(exec.exitCode) : std::nullopt;
}

void Pod::awaitSandbox(TaskClient& shim) {
  api::WaitRequest request;
  request.set_id(id_);
  shim.begin("Wait", request, limitsFor(kSendTime), [this](absl::StatusOr<std::string> reply) {
    if (absl::IsUnavailable(reply.status())) return;
    if (isUnsent(reply.status())) return post({.kind = Task::Kind::kUnsent});
    api::WaitResponse response;
    {
      const std::lock_guard lock(mutex_);
      sandbox_.known = reply.ok() && response.ParseFromString(*reply);
      sandbox_.exitCode = sandbox_.known ? static_cast<int>(response.exit_status()) : 255;
    }
    wake(sandbox_);
    post({.kind = Task::Kind::kSandboxExit});
  });
}

void Pod::settleExit(const std::shared_ptr<Container>& container, int exitCode, int64_t exitedAt,
                     std::string_view message) {
  constexpr auto kOutputTime = std::chrono::milliseconds(2000);
  constexpr int kKilled = 137;
  ContainerRecord record = recordOf(*container);
  if (record.stage == Stage::kExited) return;
  // The kernel's OOM killer sends SIGKILL, and that it did is told beside the exit, if not counted
  // by then; not by a shim that is gone, which is why there is a message.
  const bool mayTell = exitCode == kKilled && !isDead() && message.empty();
  const bool isTold = record.oomKilled || (mayTell && countsMemoryKill(record.id));
  const keeper::Request finish{.operation = keeper::Operation::kFinish,
                               .key = record.id,
                               .timeoutMs = static_cast<uint32_t>(kOutputTime.count()),
                               .awaitExit = mayTell && !isTold ? 1u : 0u};
  const auto finished = keeper().call(finish, limitsFor(2 * kOutputTime));
  const bool oomKilled = isTold || (finished.ok() && !finished->entries.empty() &&
                                    finished->entries[0].oomKilled != 0);
  {
    const std::lock_guard lock(mutex_);
    if (container->record.stage == Stage::kExited) return;
    container->record.stage = Stage::kExited;
    container->record.exitCode = exitCode;
    container->record.finishedAt = exitedAt;
    container->record.oomKilled = oomKilled;
    container->record.message = message;
    record = container->record;
  }
  // Before anybody is told.
  if (const absl::Status saved = save(this->record(), record); !saved.ok()) {
    listener_.warn(id_, "the exit of a container could not be recorded", saved);
  }
  listener_.onContainerExited(id_, record);
  wake(*container);
}

}  // namespace berth::kata
