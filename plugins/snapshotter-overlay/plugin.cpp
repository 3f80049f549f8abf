// snapshotter-overlay: the plugin's entry, and the ABI's calls in terms of the stores.
#include <fcntl.h>
#include <memory>

#include "berth/extensions.hpp"
#include "berth/snapshotter.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "group_sync.hpp"
#include "layer_store.hpp"
#include "layout.hpp"
#include "options.hpp"
#include "registry.hpp"
#include "snapshot_store.hpp"
#include "sweeper.hpp"
#include "upper_kind.hpp"

namespace berth::overlay {
namespace {

using support::strCat;

void fill(berth_usage& target, DiskUsage usage) {
  target.bytes = usage.bytes;
  target.inodes = usage.inodes;
}

IdRanges ranges(const std::vector<berth_id_mapping>& mappings) {
  IdRanges result;
  for (const berth_id_mapping& one : mappings)
    result.push_back({one.container_id, one.host_id, one.length});
  return result;
}

class OverlaySnapshotter final : public Snapshotter,
                                 public Extensions<SnapshotterDiff, SnapshotterVerify> {
 public:
  using Snapshotter::Snapshotter;
  ~OverlaySnapshotter() override { stop(); }

  Status configure(std::string_view options) override {
    absl::StatusOr<Options> parsed = parseOptions(options, host().rootDirectory());
    if (!parsed.ok()) return parsed.status();
    options_ = *std::move(parsed);
    layout_ = std::make_unique<Layout>(options_.root);
    return {};
  }

  Status start() override {
    if (absl::Status status = open(); !status.ok()) return status;
    for (const std::string& name : leftovers_) {
      const absl::Status status = sweeper_->add(strCat(layout_->staging(), "/", name));
      if (status.ok()) continue;
      host().warn("what a crash left behind stays until the next start",
                  {{"error", support::fromAbsl(status.message())}});
      break;
    }
    return {};
  }

  void stop() override {
    if (sweeper_ != nullptr) sweeper_->stop();
  }

  Status examine(const Op& /*op*/, Findings& out) override {
    const auto filesystems = support::readFile("/proc/filesystems");
    const bool offered = filesystems.ok() && filesystems->find("\toverlay\n") != std::string::npos;
    if (offered) {
      out.ok("overlayfs", "offered by the kernel");
    } else {
      out.refused("overlayfs", "the kernel does not offer it: modprobe overlay");
    }
    const absl::Status unfit = refuseAsUpper(layout_->root());
    if (!unfit.ok()) out.refused("file system", support::fromAbsl(unfit.message()));
    return {};
  }

  uint32_t flags() override {
    uint32_t flags = BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS;
    if (snapshots_->abilities().idMapping) flags |= BERTH_SNAPSHOTTER_ID_MAPPING;
    return flags;
  }

  Status layerApply(const Op& op, const berth_layer& layer, Stream& tar,
                    berth_usage& usage) override {
    const Pace::Work work = sweeper_->work();
    const std::string diffId = copy(layer.diff_id);
    if (absl::Status status = checkDigest(diffId); !status.ok()) return status;
    const absl::StatusOr<DiskUsage> applied = layers_->apply(diffId, tar, op);
    if (!applied.ok()) return applied.status();
    fill(usage, *applied);
    return {};
  }

  Status layerUsage(const Op& /*op*/, const berth_layer& layer, berth_usage& usage) override {
    const std::string diffId = copy(layer.diff_id);
    const auto known = registry_.layer(diffId);
    if (!known) return absl::NotFoundError(strCat("layer ", diffId, " is not unpacked"));
    fill(usage, known->usage);
    return {};
  }

  Status layerRemove(const Op& op, const berth_layer& layer) override {
    const std::string diffId = copy(layer.diff_id);
    if (absl::Status status = checkDigest(diffId); !status.ok()) return status;
    snapshots_->forgetGone();
    return layers_->remove(diffId, op);
  }

  Status layerList(const Op& /*op*/, NameSink& out) override {
    for (const std::string& name : registry_.layerNames()) out.add(name);
    return {};
  }

  Status snapshotPrepare(const Op& op, const SnapshotSpec& spec) override {
    const Pace::Work work = sweeper_->work();
    SnapshotRecord record;
    record.key = std::string(spec.key);
    for (const berth_layer& layer : spec.layers) record.layers.push_back(copy(layer.diff_id));
    record.readOnly = spec.readOnly;
    record.uidMappings = ranges(spec.uidMappings);
    record.gidMappings = ranges(spec.gidMappings);
    record.selinuxLabel = std::string(spec.selinuxLabel);
    return snapshots_->prepare(record, op);
  }

  Status snapshotMount(const Op& op, std::string_view key, std::string_view target) override {
    const Pace::Work work = sweeper_->work();
    return snapshots_->mount(std::string(key), std::string(target), op);
  }

  Status snapshotUnmount(const Op& op, std::string_view key, std::string_view target) override {
    const Pace::Work work = sweeper_->work();
    const absl::StatusOr<std::string> warning =
        snapshots_->unmount(std::string(key), std::string(target), op);
    if (!warning.ok()) return warning.status();
    if (!warning->empty()) host().warn(*warning, {{"snapshot", key}, {"target", target}});
    return {};
  }

  Status snapshotUsage(const Op& op, std::string_view key, berth_usage& usage) override {
    const absl::StatusOr<DiskUsage> measured = snapshots_->usage(std::string(key), op);
    if (!measured.ok()) return measured.status();
    fill(usage, *measured);
    return {};
  }

  Status snapshotRemove(const Op& op, std::string_view key) override {
    const Pace::Work work = sweeper_->work();
    return snapshots_->remove(std::string(key), op);
  }

  Status snapshotList(const Op& /*op*/, NameSink& out) override {
    for (const std::string& name : registry_.snapshotNames()) out.add(name);
    return {};
  }

  Status filesystem(const Op& /*op*/, std::string& path, berth_usage& usage) override {
    path = layout_->root();
    fill(usage, registry_.total());
    return {};
  }

  Status diff(const Op& op, std::string_view key, uint32_t layers, Sink& tar) override {
    const auto target = [&tar](std::string_view piece) -> absl::Status {
      const Status status = tar.write(piece);
      if (status.ok()) return absl::OkStatus();
      return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
    };
    return snapshots_->diff(std::string(key), layers, target, op);
  }

  Status layerVerify(const Op& op, const berth_layer& layer, uint32_t flags,
                     Findings& out) override {
    const std::string diffId = copy(layer.diff_id);
    if (absl::Status status = checkDigest(diffId); !status.ok()) return status;
    const Depth depth = (flags & BERTH_VERIFY_QUICK) != 0 ? Depth::kQuick : Depth::kThorough;
    return layers_->verify(diffId, depth, op, out);
  }

  Status snapshotVerify(const Op& /*op*/, std::string_view key, uint32_t /*flags*/,
                        Findings& out) override {
    return snapshots_->verify(std::string(key), out);
  }

  Status layerDrop(const Op& op, const berth_layer& layer) override {
    const std::string diffId = copy(layer.diff_id);
    if (absl::Status status = checkDigest(diffId); !status.ok()) return status;
    return layers_->drop(diffId, op);
  }

  Status setAside(const Op& /*op*/, Findings& out) override {
    snapshots_->setAside(out);
    return layers_->setAside(out);
  }

 private:
  absl::Status open() {
    BERTH_ASSIGN_OR_RETURN(lock_, layout_->create());
    BERTH_ASSIGN_OR_RETURN(support::Fd root,
                           support::openFile(layout_->root(), O_RDONLY | O_DIRECTORY));
    sync_ = std::make_unique<GroupSync>(std::move(root));
    sweeper_ = std::make_unique<Sweeper>(layout_->root(), [this](const absl::Status& status) {
      host().warn(support::fromAbsl(status.message()));
    });
    layers_ = std::make_unique<LayerStore>(*layout_, registry_, *sync_, *sweeper_, options_);
    snapshots_ = std::make_unique<SnapshotStore>(*layout_, registry_, options_);
    // Snapshots first: they tell which layers are in use.
    BERTH_RETURN_IF_ERROR(report(snapshots_->load()));
    BERTH_RETURN_IF_ERROR(report(layers_->load()));
    // Listed before anything of this run is made there.
    BERTH_ASSIGN_OR_RETURN(leftovers_, support::listDirectory(layout_->staging()));
    return snapshots_->probe();
  }

  absl::Status report(const absl::StatusOr<std::vector<std::string>>& warnings) const {
    if (!warnings.ok()) return warnings.status();
    for (const std::string& warning : *warnings) host().warn(warning);
    return absl::OkStatus();
  }

  Options options_;
  std::unique_ptr<Layout> layout_;
  support::Fd lock_;
  Registry registry_;
  std::unique_ptr<GroupSync> sync_;
  std::unique_ptr<Sweeper> sweeper_;
  std::unique_ptr<LayerStore> layers_;
  std::unique_ptr<SnapshotStore> snapshots_;
  std::vector<std::string> leftovers_;  // of a crash
};

}  // namespace
}  // namespace berth::overlay

BERTH_PLUGIN(berth::overlay::OverlaySnapshotter,
             {.name = "snapshotter-overlay",
              .version = "0.1.0",
              .summary = "Layers as directories, root filesystems as overlay mounts",
              .threading = BERTH_THREADING_PARALLEL,
              .options = berth::overlay::kOptionTable})
