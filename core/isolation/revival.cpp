// How a process that has ended is followed by another one.
#include <algorithm>
#include <atomic>
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
// One that has lasted for so long does not end with the first call.
constexpr auto kLasting = std::chrono::seconds(5);
// Between two attempts at pods that a new process did not recover.
constexpr auto kAskAgain = std::chrono::seconds(5);
// Of one pod, where calls of all pods wait for it, and where they do not.
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
    accompany(*process);
    lock.lock();
    if (stopping_) return;
    if (!out_) out_ = Clock::now();
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

void RemoteInstance::accompany(PluginProcess& process) {
  const auto lasting = Clock::now() + kLasting;
  bool isOut = true;  // as far as is known here
  for (;;) {
    auto until = unrecovered_.empty() ? Clock::time_point::max() : Clock::now() + kAskAgain;
    if (isOut) until = std::min(until, lasting);
    if (process.awaitEnd(until)) return;
    if (isOut && Clock::now() >= lasting) {
      const std::lock_guard lock(mutex_);
      out_.reset();
      isOut = false;
    }
    if (!unrecovered_.empty()) recoverPods(process, Recovery::kBeside);
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
  unrecovered_ = pods_.ids();
  recoverPods(*process, Recovery::kFirst);
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
void RemoteInstance::recoverPods(PluginProcess& process, Recovery recovery) {
  const std::vector<std::string> pods = std::move(unrecovered_);
  const berth_threading threading = process.description().threading;
  const bool atOnce =
      threading == BERTH_THREADING_PER_OBJECT || threading == BERTH_THREADING_PARALLEL;
  // Where calls of all pods wait for this one.
  const auto time = recovery == Recovery::kFirst || !atOnce ? kFirstRecovery : kRecovery;
  std::vector<Recovered> outcomes(pods.size(), Recovered::kNotAsked);
  std::atomic<bool> refused{false};
  const auto recover = [&](size_t i) {
    if (recovery == Recovery::kFirst) {
      if (!process.ended() && !isStopping()) outcomes[i] = recoverPod(process, pods[i], time);
    } else if (atOnce || !refused) {  // else other calls have their turn before it goes on
      outcomes[i] = recoverInTurn(process, pods[i], time);
    }
    if (outcomes[i] == Recovered::kRefused) refused = true;
    return absl::OkStatus();
  };
  const absl::Status thrown =
      support::inParallel(pods.size(), atOnce ? kRecoveredAtOnce : 1, recover);
  if (!thrown.ok()) log(BERTH_LOG_ERROR, strCat("recover pods: ", fromAbsl(thrown.message())));
  unrecovered_.clear();
  for (const Recovered left : {Recovered::kNotAsked, Recovered::kRefused}) {
    for (size_t i = 0; i < pods.size(); ++i) {
      if (outcomes[i] == left) unrecovered_.push_back(pods[i]);
    }
  }
}

RemoteInstance::Recovered RemoteInstance::recoverInTurn(PluginProcess& process,
                                                        const std::string& id,
                                                        Clock::duration time) {
  const auto until = Clock::now() + kRecovery;
  const auto there = [&] { return !process.ended() && !isStopping(); };
  Recovered outcome = Recovered::kNotAsked;
  const bool hadTurn = turns_(
      id, [&] { return there() && Clock::now() < until; },
      [&] {
        if (there()) outcome = recoverPod(process, id, time);
      });
  if (!hadTurn && there())
    log(BERTH_LOG_WARNING, strCat("recover pod ", id, ": other calls have taken all turns of ",
                                  kRecovery / std::chrono::seconds(1), " s"));
  return outcome;
}

RemoteInstance::Recovered RemoteInstance::recoverPod(PluginProcess& process, const std::string& id,
                                                     Clock::duration time) {
  const std::optional<Pods::Pod> pod = pods_.find(id);
  if (!pod.has_value()) return Recovered::kSettled;  // it has been removed meanwhile
  const TimedOp op(time, stop_.get());
  ExitEmitter exits(host_, id);
  const absl::Status recovered =
      step<&berth_runtime::pod_recover>(process, strCat("recover pod ", id), op.get(), str(id),
                                        str(pod->directory), bytes(pod->state), exits.get());
  if (absl::IsNotFound(recovered)) exits.lost(fromAbsl(recovered.message()));
  if (recovered.ok() || absl::IsNotFound(recovered)) return Recovered::kSettled;
  log(BERTH_LOG_ERROR, strCat(fromAbsl(recovered.message()), "; it is asked for again"));
  return Recovered::kRefused;
}

bool RemoteInstance::isStopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace berth::isolation
