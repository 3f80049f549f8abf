// Layers on disk: unpacking, removing, finding them again.
#pragma once

#include <string>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/snapshotter.hpp"
#include "compare.hpp"
#include "group_sync.hpp"
#include "key_locks.hpp"
#include "layout.hpp"
#include "left_alone.hpp"
#include "options.hpp"
#include "registry.hpp"
#include "sweeper.hpp"

namespace berth::overlay {

class LayerStore {
 public:
  // All borrowed.
  LayerStore(const Layout& layout, Registry& registry, GroupSync& sync, Sweeper& sweeper,
             const Options& options)
      : layout_(layout),
        registry_(registry),
        sync_(sync),
        sweeper_(sweeper),
        durability_(options.durability),
        maxEntries_(options.maxLayerEntries) {}

  absl::StatusOr<DiskUsage> apply(const std::string& diffId, Stream& tar, const Op& op);
  // Its files are deleted afterwards, by the sweeper.
  absl::Status remove(const std::string& diffId, const Op& op);

  // Contracts: berth_snapshotter_verify.
  absl::Status verify(const std::string& diffId, Depth depth, const Op& op, Findings& out) const;
  absl::Status drop(const std::string& diffId, const Op& op);
  absl::Status setAside(Findings& out) const;

  // At start: puts what is on disk into the registry. Layers with a damaged record are taken away,
  // because what else is damaged is unknown; those that a snapshot uses stay on disk for it, but
  // are not offered. Those of a newer plugin, or with a record that cannot be read, are neither
  // offered nor touched. Returns what there is to tell about that. RESOURCE_EXHAUSTED when there
  // is a shortage, in which nothing can be said of what is there.
  absl::StatusOr<std::vector<std::string>> load();

 private:
  absl::StatusOr<LayerRecord> unpack(const std::string& diffId, const std::string& staging,
                                     Stream& tar, const Op& op);
  // What to tell about one without a record to go by.
  absl::StatusOr<std::string> loadUnreadable(const std::string& name, const absl::Status& reason);
  // FAILED_PRECONDITION for one that is left alone.
  absl::Status checkOwn(const std::string& diffId);
  absl::Status makeRoom(const std::string& diffId) const;
  // Takes a layer that is not known any more out of the way. What is to be removed, or "": nothing
  // was there, or a snapshot goes on using it.
  absl::StatusOr<std::string> takeAway(const std::string& diffId) const;
  absl::Status publish(const std::string& diffId, const std::string& staging);
  // Publishes what is unpacked, and knows it from now on; false: another call has done so
  // meanwhile.
  absl::StatusOr<bool> keep(const LayerRecord& layer, const std::string& staging, const Op& op);

  const Layout& layout_;
  Registry& registry_;
  GroupSync& sync_;
  Sweeper& sweeper_;
  const Durability durability_;
  const uint64_t maxEntries_;
  LeftAlone leftAlone_;
  KeyLocks locks_;
};

}  // namespace berth::overlay
