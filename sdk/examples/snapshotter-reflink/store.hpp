// Layers and snapshots on disk.
//
//     ROOT/layers/DIFF-ID/{fs,usage}             a layer
//     ROOT/snapshots/KEY/{fs,record,base}        a snapshot; `base` is what its layers took
//     ROOT/new/NUMBER                            unfinished, or being removed
#pragma once

#include <atomic>
#include <berth/snapshotter.hpp>
#include <berth/untar/usage.hpp>
#include <shared_mutex>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace reflink {

using berth::untar::DiskUsage;

// All functions may be called from any thread; calls about one key or layer one after the other.
class Store {
 public:
  explicit Store(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  // Makes the folders and throws away what was unfinished.
  absl::Status open();

  absl::StatusOr<DiskUsage> apply(const berth::Op& op, const std::string& diffId,
                                  berth::Stream& tar);
  absl::StatusOr<DiskUsage> layerUsage(const std::string& diffId) const;
  absl::Status removeLayer(const std::string& diffId);

  absl::Status prepare(const berth::Op& op, const berth::SnapshotSpec& spec);
  absl::Status mount(const std::string& key, const std::string& target) const;
  absl::Status unmount(const std::string& key, const std::string& target) const;
  absl::StatusOr<DiskUsage> snapshotUsage(const berth::Op& op, const std::string& key) const;
  absl::Status removeSnapshot(const std::string& key);

  absl::StatusOr<std::vector<std::string>> list(const std::string& folder) const;

 private:
  absl::StatusOr<std::string> path(std::string_view folder, std::string_view name) const;
  std::string fresh();
  absl::Status publish(const std::string& from, const std::string& to) const;
  absl::Status discard(const std::string& path);
  absl::StatusOr<DiskUsage> unpack(const berth::Op& op, const std::string& directory,
                                   berth::Stream& tar);
  absl::Status fill(const berth::Op& op, const berth::SnapshotSpec& spec,
                    const std::string& directory) const;
  absl::StatusOr<std::string> userOf(const std::string& diffId) const;

  const std::string root_;
  std::atomic<unsigned> next_ = 0;
  // Shared while a snapshot is made of layers, exclusive while a layer goes.
  std::shared_mutex layersInUse_;
};

// OK while the call is wanted.
absl::Status wanted(const berth::Op& op);

}  // namespace reflink
