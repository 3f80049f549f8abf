#include "readiness.hpp"

#include "berth/support/status.hpp"
#include "chain.hpp"
#include "limits.hpp"

namespace berth::cni {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kGoodFor = std::chrono::seconds(5);
constexpr auto kBadFor = std::chrono::seconds(1);  // recovery should show soon
constexpr auto kStatusLimit = std::chrono::seconds(5);
constexpr auto kAskEvery = std::chrono::milliseconds(100);

absl::Status allInstalled(const Invoker& invoker, const NetworkConfig& network) {
  support::StatusCollector missing;
  for (const PluginConfig& plugin : network.plugins)
    missing.add(invoker.find(plugin.type).status());
  return support::annotate(missing.status(), network.source);
}

}  // namespace

void Readiness::forget() {
  const std::lock_guard lock(mutex_);
  answer_.reset();
}

absl::Status Readiness::status(const Op& op) {
  const auto snapshot = networks_.current();
  if (snapshot->network == nullptr) return noNetwork(options_, *snapshot);
  BERTH_RETURN_IF_ERROR(allInstalled(invoker_, *snapshot->network));
  if (snapshot->network->version < kWithGc) return absl::OkStatus();
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool same = answer_ && answer_->generation == snapshot->generation;
    if (same && Clock::now() - answer_->time < (answer_->status.ok() ? kGoodFor : kBadFor))
      return answer_->status;
    if (!asking_) break;
    if (same) return answer_->status;
    if (op.cancelled()) return absl::DeadlineExceededError("waiting for the plugins' STATUS");
    answered_.wait_for(lock, kAskEvery);
  }
  asking_ = true;
  lock.unlock();
  absl::Status status = ask(op, *snapshot);
  lock.lock();
  asking_ = false;
  // A caller that left early has learnt nothing about the network.
  if (!absl::IsCancelled(status)) answer_ = Answer{snapshot->generation, Clock::now(), status};
  answered_.notify_all();
  return status;
}

absl::Status Readiness::ask(const Op& op, const Snapshot& snapshot) {
  const absl::Status status =
      Chain(invoker_, op).status(*snapshot.network, limitsOf(op, kStatusLimit));
  return support::annotate(status, support::strCat("network ", snapshot.network->name));
}

}  // namespace berth::cni
