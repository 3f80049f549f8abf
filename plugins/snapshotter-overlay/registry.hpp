// What is there, in memory: layers, snapshots, and who uses what. Never blocks on I/O. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "records.hpp"

namespace berth::overlay {

class Registry {
 public:
  void addLayer(LayerRecord&& layer);
  std::optional<LayerRecord> layer(const std::string& diffId) const;
  // Takes it out; none when it was not there. FAILED_PRECONDITION, naming a user, while in use.
  absl::StatusOr<std::optional<LayerRecord>> takeLayer(const std::string& diffId);
  // The same whoever uses it.
  std::optional<LayerRecord> dropLayer(const std::string& diffId);
  // The key of one who names it, be it there or not.
  std::optional<std::string> findUser(const std::string& diffId) const;
  // Whether a snapshot names it, be it there or not.
  bool isUsed(const std::string& diffId) const;
  std::vector<std::string> layerNames() const;

  // Adds the snapshot when all its layers are there, and keeps them from then on. NOT_FOUND names
  // the layer that is missing.
  absl::StatusOr<std::vector<LayerRecord>> addSnapshot(const SnapshotRecord& snapshot);
  // At start: a snapshot on disk counts even if a layer is missing. Its usage is
  // not known until it is measured.
  void restoreSnapshot(const SnapshotRecord& snapshot);
  // At start: a snapshot that is there and cannot be used. It keeps the layers that it may lie on,
  // all when they are not known, until unpin().
  void pin(const std::string& key, std::optional<std::vector<std::string>> layers);
  void unpin(const std::string& key);
  std::optional<SnapshotRecord> snapshot(const std::string& key) const;
  void removeSnapshot(const std::string& key);
  std::vector<std::string> snapshotNames() const;

  // The writable layer's usage when it was last measured.
  void noteUsage(const std::string& key, DiskUsage usage);
  // Of all layers and writable layers together.
  DiskUsage total() const;

 private:
  // With the mutex held.
  std::optional<std::string> userOf(const std::string& diffId) const;
  std::optional<LayerRecord> takeLocked(const std::string& diffId);
  struct Snapshot {
    SnapshotRecord record;
    DiskUsage usage;
  };
  void add(DiskUsage usage);
  void subtract(DiskUsage usage);

  mutable std::mutex mutex_;
  std::map<std::string, LayerRecord> layers_;
  std::map<std::string, Snapshot> snapshots_;
  std::map<std::string, std::optional<std::vector<std::string>>> pins_;
  DiskUsage total_;
};

}  // namespace berth::overlay
