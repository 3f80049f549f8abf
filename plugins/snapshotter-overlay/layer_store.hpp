// Layers on disk: unpacking, removing, finding them again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/snapshotter.hpp"
#include "group_sync.hpp"
#include "key_locks.hpp"
#include "layout.hpp"
#include "options.hpp"
#include "registry.hpp"

namespace berth::overlay {

class LayerStore {
 public:
  // All borrowed.
  LayerStore(const Layout& layout, Registry& registry, GroupSync& sync, Durability durability)
      : layout_(layout), registry_(registry), sync_(sync), durability_(durability) {}

  absl::StatusOr<DiskUsage> apply(const std::string& diffId, Stream& tar, const Op& op);
  absl::Status remove(const std::string& diffId, const Op& op);

  // At start: puts what is on disk into the registry. Layers with a damaged record are taken away,
  // because what else is damaged is unknown; those that a snapshot uses stay on disk for it, but
  // are not offered. Those of a newer plugin are neither offered nor touched. Returns what there is
  // to tell about that.
  absl::StatusOr<std::vector<std::string>> load();

 private:
  absl::StatusOr<LayerRecord> unpack(const std::string& diffId, const std::string& staging,
                                     Stream& tar, const Op& op);
  // FAILED_PRECONDITION for one of a newer plugin.
  absl::Status checkOwn(const std::string& diffId) const;
  absl::Status publish(const std::string& diffId, const std::string& staging);

  const Layout& layout_;
  Registry& registry_;
  GroupSync& sync_;
  const Durability durability_;
  std::map<std::string, absl::Status> newer_;  // of newer plugins; never changes after load()
  KeyLocks locks_;
};

}  // namespace berth::overlay
