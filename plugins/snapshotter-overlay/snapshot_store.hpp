// Snapshots: preparing, mounting, measuring and removing them.
#pragma once

#include <string>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/untar/tar_writer.hpp"
#include "key_locks.hpp"
#include "layout.hpp"
#include "left_alone.hpp"
#include "options.hpp"
#include "overlay_mount.hpp"
#include "registry.hpp"

namespace berth::overlay {

// What the kernel can do, found out by doing it.
struct Abilities {
  MountApi api = MountApi::kNames;
  bool idMapping = false;
  bool volatileUpper = false;
};

class SnapshotStore {
 public:
  // Borrowed, but for the options.
  SnapshotStore(const Layout& layout, Registry& registry, Options options)
      : layout_(layout), registry_(registry), options_(std::move(options)) {}

  // Tries mounts. FAILED_PRECONDITION when overlays do not work here at all. On a full disk, where
  // nothing can be tried, the answers of the last time count.
  absl::Status probe();
  const Abilities& abilities() const { return abilities_; }

  absl::Status prepare(const SnapshotRecord& record, const Op& op);
  absl::Status mount(const std::string& key, const std::string& target, const Op& op);
  // The second is a warning, empty when there is none.
  absl::StatusOr<std::string> unmount(const std::string& key, const std::string& target,
                                      const Op& op);
  absl::StatusOr<DiskUsage> usage(const std::string& key, const Op& op);
  // Contract: berth_snapshotter_diff.diff.
  absl::Status diff(const std::string& key, size_t layers, untar::PieceTarget target, const Op& op);
  absl::Status remove(const std::string& key, const Op& op);
  // Contracts: berth_snapshotter_verify.
  absl::Status verify(const std::string& key, Findings& out) const;
  void setAside(Findings& out) const;

  // At start, before the layers: takes snapshots with a damaged record away unless they are
  // mounted; those, those of a newer plugin and those whose record cannot be read are left alone
  // but for remove(), and keep the layers they may lie on. Returns what there is to tell.
  // RESOURCE_EXHAUSTED when there is a shortage, in which nothing can be said of what is there.
  absl::StatusOr<std::vector<std::string>> load();
  // Notices that some which were left alone have been removed by hand: their layers are free.
  void forgetGone();

 private:
  absl::Status build(const SnapshotRecord& record, const std::vector<LayerRecord>& layers,
                     const std::string& staging, const Op& op) const;
  OverlayPlan planFor(const SnapshotRecord& record) const;
  // One that cannot be read.
  absl::StatusOr<std::string> loadUnreadable(const std::string& key, const absl::Status& reason);
  // FAILED_PRECONDITION for one that is left alone.
  absl::Status checkOwn(const std::string& key);
  absl::Status clearVolatileMark(const SnapshotRecord& record) const;
  absl::StatusOr<Abilities> tryAll(const std::string& directory) const;
  absl::Status tryMount(const std::string& directory, MountApi api, bool mapped,
                        bool volatileUpper) const;

  const Layout& layout_;
  Registry& registry_;
  const Options options_;
  Abilities abilities_;
  LeftAlone leftAlone_;
  KeyLocks locks_;
};

}  // namespace berth::overlay
