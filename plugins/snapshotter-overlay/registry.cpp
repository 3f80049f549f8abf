#include "registry.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::overlay {

using support::strCat;

void Registry::add(DiskUsage usage) {
  total_.bytes += usage.bytes;
  total_.inodes += usage.inodes;
}

void Registry::subtract(DiskUsage usage) {
  total_.bytes -= usage.bytes;
  total_.inodes -= usage.inodes;
}

void Registry::addLayer(LayerRecord&& layer) {
  const std::lock_guard lock(mutex_);
  const DiskUsage usage = layer.usage;
  const std::string id = layer.diffId;
  if (layers_.try_emplace(id, std::move(layer)).second) add(usage);
}

std::optional<LayerRecord> Registry::layer(const std::string& diffId) const {
  const std::lock_guard lock(mutex_);
  const auto found = layers_.find(diffId);
  if (found == layers_.end()) return std::nullopt;
  return found->second;
}

// Snapshots are few and name their layers themselves: a count could only go wrong.
std::optional<std::string> Registry::userOf(const std::string& diffId) const {
  const auto names = [&diffId](const std::vector<std::string>& layers) {
    return std::find(layers.begin(), layers.end(), diffId) != layers.end();
  };
  for (const auto& [key, snapshot] : snapshots_)
    if (names(snapshot.record.layers)) return key;
  for (const auto& [key, layers] : pins_)
    if (!layers || names(*layers)) return key;
  return std::nullopt;
}

void Registry::pin(const std::string& key, std::optional<std::vector<std::string>> layers) {
  const std::lock_guard lock(mutex_);
  pins_.insert_or_assign(key, std::move(layers));
}

void Registry::unpin(const std::string& key) {
  const std::lock_guard lock(mutex_);
  pins_.erase(key);
}

bool Registry::isUsed(const std::string& diffId) const {
  const std::lock_guard lock(mutex_);
  return userOf(diffId).has_value();
}

std::optional<std::string> Registry::findUser(const std::string& diffId) const {
  const std::lock_guard lock(mutex_);
  return userOf(diffId);
}

absl::StatusOr<std::optional<LayerRecord>> Registry::takeLayer(const std::string& diffId) {
  const std::lock_guard lock(mutex_);
  if (!layers_.contains(diffId)) return std::optional<LayerRecord>();
  if (const auto user = userOf(diffId))
    return absl::FailedPreconditionError(
        strCat("remove layer ", diffId, ": snapshot ", *user, " uses it; remove that first"));
  return takeLocked(diffId);
}

std::optional<LayerRecord> Registry::dropLayer(const std::string& diffId) {
  const std::lock_guard lock(mutex_);
  return takeLocked(diffId);
}

std::optional<LayerRecord> Registry::takeLocked(const std::string& diffId) {
  const auto found = layers_.find(diffId);
  if (found == layers_.end()) return std::nullopt;
  subtract(found->second.usage);
  std::optional<LayerRecord> taken = std::move(found->second);
  layers_.erase(found);
  return taken;
}

std::vector<std::string> Registry::layerNames() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  names.reserve(layers_.size());
  for (const auto& [name, layer] : layers_) names.push_back(name);
  return names;
}

absl::StatusOr<std::vector<LayerRecord>> Registry::addSnapshot(const SnapshotRecord& snapshot) {
  const std::lock_guard lock(mutex_);
  std::vector<LayerRecord> layers;
  for (const std::string& id : snapshot.layers) {
    const auto found = layers_.find(id);
    if (found == layers_.end())
      return absl::NotFoundError(strCat("prepare snapshot ", snapshot.key, ": layer ", id,
                                        " is not unpacked; apply it first"));
    layers.push_back(found->second);
  }
  snapshots_.insert_or_assign(snapshot.key, Snapshot{snapshot, {}});
  return layers;
}

void Registry::restoreSnapshot(const SnapshotRecord& snapshot) {
  const std::lock_guard lock(mutex_);
  snapshots_.insert_or_assign(snapshot.key, Snapshot{snapshot, {}});
}

std::optional<SnapshotRecord> Registry::snapshot(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = snapshots_.find(key);
  if (found == snapshots_.end()) return std::nullopt;
  return found->second.record;
}

void Registry::removeSnapshot(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = snapshots_.find(key);
  if (found == snapshots_.end()) return;
  subtract(found->second.usage);
  snapshots_.erase(found);
}

std::vector<std::string> Registry::snapshotNames() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  names.reserve(snapshots_.size());
  for (const auto& [name, snapshot] : snapshots_) names.push_back(name);
  return names;
}

void Registry::noteUsage(const std::string& key, DiskUsage usage) {
  const std::lock_guard lock(mutex_);
  const auto found = snapshots_.find(key);
  if (found == snapshots_.end()) return;
  subtract(found->second.usage);
  found->second.usage = usage;
  add(usage);
}

DiskUsage Registry::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace berth::overlay
