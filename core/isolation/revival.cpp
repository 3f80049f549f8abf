// How a process that has ended is followed by another one.
#include <algorithm>
#include <mutex>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "isolation/remote_instance.hpp"
#include "isolation/timed_op.hpp"

namespace berth::isolation {

using support::fromAbsl;
using support::strCat;
using Clock = std::chrono::steady_clock;

namespace {

// Pauses before a start: none at first, then this, then twice as long each time.
constexpr auto kFirstPause = std::chrono::seconds(1);
constexpr auto kLongestPause = std::chrono::seconds(60);
// A process that has worked for so long has ended for a new reason.
constexpr auto kGoodTime = std::chrono::minutes(2);
// Between two attempts at pods that a new process did not recover.
constexpr auto kAskAgain = std::chrono::seconds(5);
// Of one pod: for the first attempt of a new process calls of all pods wait.
constexpr auto kFirstRecovery = std::chrono::seconds(3);
constexpr auto kRecovery = std::chrono::seconds(30);
constexpr size_t kRecoveredAtOnce = 16;
Clock::duration pauseBefore(uint32_t attempt) {
  if (attempt == 0) return Clock::duration::zero();
  if (attempt > 6) return kLongestPause;
  return std::min<Clock::duration>(kFirstPause * (1 << (attempt - 1)), kLongestPause);
}

}  // namespace

template <auto Member, class... A>
absl::Status RemoteInstance::step(PluginProcess& process, std::string_view what, A... arguments) {
  detail::ErrorSlot error;
  berth_code code = BERTH_OK;
  try {
    BERTH_RETURN_IF_ERROR(callOn<Member>(process, {nullptr, arguments..., error.get()}, code));
  } catch (const PluginThrew&) {
    return absl::InternalError(strCat(what, ": it let an exception out"));
  }
  return support::annotate(statusOf(code, error.status(code).message()), what);
}

void RemoteInstance::supervise() {
  uint32_t attempt = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::shared_ptr<PluginProcess> process = process_;
    const auto since = Clock::now();
    lock.unlock();
    while (!process->awaitEnd(unrecovered_.empty() ? Clock::time_point::max()
                                                   : Clock::now() + kAskAgain))
      recoverPods(*process, kRecovery);
    lock.lock();
    if (stopping_) return;
    if (Clock::now() - since > kGoodTime) attempt = 0;
    why_ = strCat("its process ", process->pid(), " ", process->end());
    while (!stopping_) {
      const auto pause = pauseBefore(attempt++);
      phase_ = pause == pause.zero() ? Phase::kStarting : Phase::kWaiting;
      next_ = Clock::now() + pause;
      lock.unlock();
      log(BERTH_LOG_ERROR,
          strCat(why_, "; it is started again in ", pause / std::chrono::seconds(1), " s"));
      lock.lock();
      changed_.wait_until(lock, next_, [this] { return stopping_; });
      if (stopping_) return;
      phase_ = Phase::kStarting;
      lock.unlock();
      absl::StatusOr<std::shared_ptr<PluginProcess>> next = process;
      const absl::Status thrown = support::returnThrown([&] {
        next = revive();
        return absl::OkStatus();
      });
      if (!thrown.ok()) next = thrown;
      lock.lock();
      if (next.ok()) {
        process_ = *std::move(next);
        if (stopping_) process_->release();
        phase_ = Phase::kThere;
        ++restarts_;
        changed_.notify_all();
        break;
      }
      why_ = strCat("its process cannot be started again: ", fromAbsl(next.status().message()));
    }
  }
}

absl::StatusOr<std::shared_ptr<PluginProcess>> RemoteInstance::revive() {
  Description before;
  {
    const std::lock_guard lock(mutex_);
    before = process_->description();
  }
  Launch again = launch_;
  again.request.again = true;
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<PluginProcess> process, PluginProcess::start(again));
  if (!process->description().isLike(before))
    return absl::FailedPreconditionError(
        "the plugin's file has been replaced by another one; start the daemon anew");
  BERTH_RETURN_IF_ERROR(support::annotate(createOn(*process), "create"));
  BERTH_RETURN_IF_ERROR(step<&berth_plugin::configure>(*process, "configure", str(options_)));
  BERTH_RETURN_IF_ERROR(step<&berth_plugin::start>(*process, "start"));
  BERTH_RETURN_IF_ERROR(remindExtensions(*process));
  BERTH_RETURN_IF_ERROR(remind(*process));
  unrecovered_ = pods_.all();
  recoverPods(*process, kFirstRecovery);
  log(BERTH_LOG_INFO, strCat("its process ", process->pid(), " has taken the place of the last"));
  return process;
}

// What the plugin was told after its start and keeps in memory alone.
absl::Status RemoteInstance::remind(PluginProcess& process) {
  std::string cidr;
  {
    const std::lock_guard lock(mutex_);
    cidr = podCidr_;
  }
  if (cidr.empty()) return absl::OkStatus();
  return step<&berth_network::set_pod_cidr>(process, "set the pods' address range", nullptr,
                                            str(cidr));
}

// A table is known to a process once it was asked for.
absl::Status RemoteInstance::remindExtensions(PluginProcess& process) {
  const std::lock_guard lock(extensionsMutex_);
  for (size_t i = 0; i < extensions_.size(); ++i) {
    if (extensions_[i] == nullptr) continue;
    const Encoder nothing;
    const auto number = static_cast<uint16_t>(i);
    BERTH_RETURN_IF_ERROR(
        process.exchange({.kind = Kind::kExtension, .number = number, .content = nothing})
            .status());
  }
  return absl::OkStatus();
}

// Pods that cannot be recovered now do not keep the others waiting; they are asked for again.
void RemoteInstance::recoverPods(PluginProcess& process, Clock::duration time) {
  const std::vector<std::pair<std::string, Pods::Pod>> pods(unrecovered_.begin(),
                                                            unrecovered_.end());
  const berth_threading threading = process.description().threading;
  const bool atOnce =
      threading == BERTH_THREADING_PER_OBJECT || threading == BERTH_THREADING_PARALLEL;
  std::mutex settling;
  const auto recover = [&](size_t i) {
    const auto& [id, pod] = pods[i];
    const TimedOp op(time, stop_.get());
    if (process.ended() || op.isOver()) return absl::OkStatus();
    ExitEmitter exits(host_, id);
    const absl::Status recovered =
        step<&berth_runtime::pod_recover>(process, strCat("recover pod ", id), op.get(), str(id),
                                          str(pod.directory), bytes(pod.state), exits.get());
    if (absl::IsNotFound(recovered)) exits.lost(fromAbsl(recovered.message()));
    if (recovered.ok() || absl::IsNotFound(recovered)) {
      const std::lock_guard lock(settling);
      unrecovered_.erase(id);
    } else {
      log(BERTH_LOG_ERROR, strCat(fromAbsl(recovered.message()), "; it is asked for again"));
    }
    return absl::OkStatus();
  };
  const absl::Status thrown =
      support::inParallel(pods.size(), atOnce ? kRecoveredAtOnce : 1, recover);
  if (!thrown.ok()) log(BERTH_LOG_ERROR, strCat("recover pods: ", fromAbsl(thrown.message())));
}

}  // namespace berth::isolation
