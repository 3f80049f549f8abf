#include "networks.hpp"

#include <algorithm>
#include <chrono>

#include "berth/support/status.hpp"
#include "config_dir.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr auto kVersionLimit = std::chrono::seconds(5);

std::string binaryFingerprint(const Invoker& invoker, const NetworkConfig& network) {
  std::string result;
  for (const PluginConfig& plugin : network.plugins) {
    const auto path = invoker.find(plugin.type);
    result += strCat(plugin.type, "=", path.ok() ? *path : std::string(), "\n");
  }
  return result;
}

}  // namespace

std::shared_ptr<const Snapshot> Networks::current() {
  const std::lock_guard lock(mutex_);
  std::string now = fingerprint(options_.confDir);
  if (snapshot_ != nullptr && snapshot_->network != nullptr &&
      snapshot_->network->offered.size() > 1)
    now += binaryFingerprint(invoker_, *snapshot_->network);
  if (snapshot_ != nullptr && snapshot_->fingerprint == now) return snapshot_;
  return load(fingerprint(options_.confDir));
}

std::shared_ptr<const Snapshot> Networks::reload() {
  const std::lock_guard lock(mutex_);
  return load(fingerprint(options_.confDir));
}

// The fingerprint is from before the files are read: a change in between shows the next time.
std::shared_ptr<const Snapshot> Networks::load(const std::string& fingerprint) {
  LoadedNetworks loaded = loadNetworks(options_.confDir, options_.networkName);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation = ++generation_;
  snapshot->problems = std::move(loaded.problems);
  snapshot->fingerprint = fingerprint;
  if (loaded.network) {
    if (loaded.network->offered.size() > 1) {
      snapshot->fingerprint += binaryFingerprint(invoker_, *loaded.network);
      settleVersion(*loaded.network);
    }
    snapshot->network = std::make_shared<const NetworkConfig>(*std::move(loaded.network));
  }
  snapshot_ = std::move(snapshot);
  return snapshot_;
}

// A network may offer a newer version than its plugins speak. Only then are they asked, and a
// plugin that cannot say is taken to speak all: its error will name the version.
void Networks::settleVersion(NetworkConfig& network) const {
  support::RunLimits limits;
  limits.deadline = std::chrono::steady_clock::now() + kVersionLimit;
  std::vector<std::vector<Version>> supported;
  for (const PluginConfig& plugin : network.plugins) {
    auto versions = invoker_.supportedVersions(plugin.type, limits);
    if (versions.ok() && !versions->empty()) supported.push_back(*std::move(versions));
  }
  const auto chosen = chooseVersion(network.offered, supported);
  if (chosen.ok()) network.version = *chosen;
}

absl::StatusOr<std::shared_ptr<const NetworkConfig>> Networks::network() {
  const auto snapshot = current();
  if (snapshot->network == nullptr) return noNetwork(options_, *snapshot);
  return snapshot->network;
}

absl::Status noNetwork(const Options& options, const Snapshot& snapshot) {
  const std::string which =
      options.networkName.empty() ? std::string() : strCat(" named ", options.networkName);
  std::string message = strCat("no valid CNI network", which, " in ", options.confDir);
  for (const std::string& problem : snapshot.problems) message += strCat("; ", problem);
  if (snapshot.problems.empty())
    message += ": install a network add-on, which puts a *.conflist file there";
  return absl::FailedPreconditionError(message);
}

}  // namespace berth::cni
