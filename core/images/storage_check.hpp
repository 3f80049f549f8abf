// Compares what the images, layers and snapshots of this node are with what they were.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "images/catalog.hpp"
#include "images/layer_keeper.hpp"
#include "images/storage.hpp"
#include "plugins/registry.hpp"

namespace berth::images {

// What the check works on; all borrowed.
struct Storage {
  plugins::Registry& registry;
  Catalog& catalog;
  LayerKeeper& layers;
  // Hides those images that are not whole, in step with pulls.
  std::function<void()> hideIncomplete;
};

// Contract: ImageService::checkStorage.
class StorageCheck {
 public:
  StorageCheck(const Storage& storage, const plugins::Operation& op, const StorageRequest& request,
               const StorageTeller& tell)
      : storage_(storage), op_(op), request_(request), tell_(tell) {}
  absl::Status run();

 private:
  absl::Status checkRecords();
  absl::Status checkStored(plugins::Snapshotter& snapshotter);
  // UNIMPLEMENTED when the snapshotter cannot tell.
  absl::Status checkLayers(plugins::Snapshotter& snapshotter);
  absl::Status checkSnapshots(plugins::Snapshotter& snapshotter);
  using Verify =
      std::function<absl::StatusOr<std::vector<plugins::Finding>>(const std::string& key)>;
  using TellOfDamage = std::function<void(const std::string& what, const std::string& key,
                                          const std::string& damage)>;
  absl::Status checkEach(const plugins::Snapshotter& snapshotter, std::string_view kind,
                         const std::vector<std::string>& keys, const Verify& verify,
                         const TellOfDamage& tellOf);
  absl::Status tellOfSetAside(plugins::Snapshotter& snapshotter);
  void tellOfIncomplete();
  // Of something damaged, and what `repair` has made of it, where there is something to be done.
  void tellOfDamage(const std::string& what, const std::string& detail,
                    const std::function<absl::Status()>& repair, const std::string& repaired);
  void tellOfCount(const std::string& what, size_t sound, size_t all);
  // The images that a layer belongs to, for people.
  std::string usersOf(const std::string& layer) const;
  plugins::VerifyDepth depth() const {
    return request_.depth == StorageDepth::kQuick ? plugins::VerifyDepth::kQuick
                                                  : plugins::VerifyDepth::kThorough;
  }

  const Storage& storage_;
  const plugins::Operation& op_;
  const StorageRequest& request_;
  const StorageTeller& tell_;
};

}  // namespace berth::images
