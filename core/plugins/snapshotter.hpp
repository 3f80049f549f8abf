// A snapshotter plugin as the core calls it. Contracts: sdk/include/berth/snapshotter.h.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/extensions.h"
#include "berth/snapshotter.h"
#include "plugins/instance.hpp"
#include "plugins/operation.hpp"

namespace berth::plugins {

struct Layer {
  std::string chainId;
  std::string parentChainId;
  std::string diffId;
};

struct Usage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};

struct SnapshotSpec {
  std::string key;
  std::vector<Layer> layers;  // lowest first
  bool readOnly = false;
  std::vector<berth_id_mapping> uidMappings;
  std::vector<berth_id_mapping> gidMappings;
  std::string selinuxLabel;
};

// Where a layer's tar comes from: gives the next piece, empty at the end, lent until the next call.
using PieceSource = std::function<absl::StatusOr<std::string_view>()>;

// Where a tar goes to; copies or consumes before it returns.
using PieceTaker = std::function<absl::Status(std::string_view)>;

enum class VerifyDepth {
  kQuick,     // without reading the content of files
  kThorough,  // all of it
};

// All functions block, and may be called from any thread.
class Snapshotter {
 public:
  explicit Snapshotter(Instance& instance);

  const std::string& name() const { return instance_.name(); }
  const Instance& instance() const { return instance_; }
  absl::Status readFlags();  // once, after start: also finds the extensions
  // Whether it takes calls about one layer at the same time.
  bool isParallel() const {
    return instance_.library().description().threading == BERTH_THREADING_PARALLEL;
  }
  bool independentLayers() const { return (flags_ & BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS) != 0; }
  bool mapsIds() const { return (flags_ & BERTH_SNAPSHOTTER_ID_MAPPING) != 0; }

  // A failure of `tar` itself is returned as it is.
  absl::StatusOr<Usage> applyLayer(const Operation& op, const Layer& layer, const PieceSource& tar);
  absl::StatusOr<Usage> layerUsage(const Operation& op, const Layer& layer);
  absl::Status removeLayer(const Operation& op, const Layer& layer);
  absl::StatusOr<std::vector<std::string>> listLayers(const Operation& op);
  absl::Status prepare(const Operation& op, const SnapshotSpec& spec);
  absl::Status mount(const Operation& op, const std::string& key, const std::string& target);
  absl::Status unmount(const Operation& op, const std::string& key, const std::string& target);
  absl::StatusOr<Usage> usage(const Operation& op, const std::string& key);
  absl::Status remove(const Operation& op, const std::string& key);
  // The extension berth.snapshotter.diff: hands what the snapshot has on top of the lowest `layers`
  // of its layers to `take`, as the tar of a layer. UNIMPLEMENTED without it; a failure of `take`
  // is returned as it is.
  absl::Status diff(const Operation& op, const std::string& key, uint32_t layers,
                    const PieceTaker& take);
  // The extension berth.snapshotter.verify; all UNIMPLEMENTED without it.
  absl::StatusOr<std::vector<Finding>> verifyLayer(const Operation& op, const Layer& layer,
                                                   VerifyDepth depth);
  absl::StatusOr<std::vector<Finding>> verifySnapshot(const Operation& op, const std::string& key,
                                                      VerifyDepth depth);
  absl::Status dropLayer(const Operation& op, const Layer& layer);
  absl::StatusOr<std::vector<Finding>> setAside(const Operation& op);
  absl::StatusOr<std::vector<std::string>> list(const Operation& op);
  struct Filesystem {
    std::string path;
    Usage usage;
  };
  absl::StatusOr<Filesystem> filesystem(const Operation& op);

 private:
  absl::Status canVerify() const;

  Instance& instance_;
  berth_snapshotter table_{};
  berth_snapshotter_diff diff_{};
  berth_snapshotter_verify verify_{};
  uint32_t flags_ = 0;
};

}  // namespace berth::plugins
