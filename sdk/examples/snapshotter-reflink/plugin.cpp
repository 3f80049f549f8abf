// A snapshotter that clones files. See README.md.
#include <berth/helpers.h>
#include <berth/snapshotter.hpp>
#include <memory>
#include <string>

#include "merge.hpp"
#include "store.hpp"

namespace reflink {
namespace {

using berth::Op;
using berth::Status;

void fill(berth_usage& target, DiskUsage usage) {
  target.bytes = usage.bytes;
  target.inodes = usage.inodes;
}

class Reflink final : public berth::Snapshotter {
 public:
  using Snapshotter::Snapshotter;

  Status configure(std::string_view options) override {
    char root[1024] = "";
    char copies[16] = "";
    const berth_str given = berth::str(options);
    if (!berth_json_string(given, "root", root, sizeof root) || (root[0] != 0 && root[0] != '/'))
      return Status(BERTH_INVALID_ARGUMENT, "option root: must be an absolute path");
    if (!berth_json_string(given, "copies", copies, sizeof copies) ||
        (copies != std::string_view("allowed") && copies != std::string_view("never")))
      return Status(BERTH_INVALID_ARGUMENT, "option copies: must be \"allowed\" or \"never\"");
    mayCopy_ = copies == std::string_view("allowed");
    store_ = std::make_unique<Store>(root[0] != 0 ? root : std::string(host().rootDirectory()));
    return {};
  }

  Status start() override {
    if (absl::Status status = store_->open(); !status.ok()) return status;
    const absl::Status clones = tryClone(store_->root());
    if (clones.ok()) return {};
    if (!mayCopy_)
      return Status(BERTH_FAILED_PRECONDITION, "option copies: " + std::string(clones.message()));
    host().warn("files are copied, not cloned", {{"reason", clones.message().data()}});
    return {};
  }

  Status examine(const Op& /*op*/, berth::Findings& out) override {
    const absl::Status clones = tryClone(store_->root());
    if (clones.ok()) {
      out.ok("reflinks", store_->root());
    } else {
      out.add(mayCopy_ ? BERTH_FINDING_LIMITED : BERTH_FINDING_REFUSED, "reflinks",
              std::string(clones.message()));
    }
    return {};
  }

  uint32_t flags() override { return BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS; }

  Status layerApply(const Op& op, const berth_layer& layer, berth::Stream& tar,
                    berth_usage& usage) override {
    const auto applied = store_->apply(op, berth::copy(layer.diff_id), tar);
    if (!applied.ok()) return applied.status();
    fill(usage, *applied);
    return {};
  }
  Status layerUsage(const Op& /*op*/, const berth_layer& layer, berth_usage& usage) override {
    const auto known = store_->layerUsage(berth::copy(layer.diff_id));
    if (!known.ok()) return known.status();
    fill(usage, *known);
    return {};
  }
  Status layerRemove(const Op& /*op*/, const berth_layer& layer) override {
    return store_->removeLayer(berth::copy(layer.diff_id));
  }
  Status layerList(const Op& /*op*/, berth::NameSink& out) override { return list("layers", out); }

  Status snapshotPrepare(const Op& op, const berth::SnapshotSpec& spec) override {
    return store_->prepare(op, spec);
  }
  Status snapshotMount(const Op& /*op*/, std::string_view key, std::string_view target) override {
    return store_->mount(std::string(key), std::string(target));
  }
  Status snapshotUnmount(const Op& /*op*/, std::string_view key, std::string_view target) override {
    return store_->unmount(std::string(key), std::string(target));
  }
  Status snapshotUsage(const Op& op, std::string_view key, berth_usage& usage) override {
    const auto measured = store_->snapshotUsage(op, std::string(key));
    if (!measured.ok()) return measured.status();
    fill(usage, *measured);
    return {};
  }
  Status snapshotRemove(const Op& /*op*/, std::string_view key) override {
    return store_->removeSnapshot(std::string(key));
  }
  Status snapshotList(const Op& /*op*/, berth::NameSink& out) override {
    return list("snapshots", out);
  }

  // The sum of what the layers take and snapshots have added: blocks that are shared count once.
  Status filesystem(const Op& op, std::string& path, berth_usage& usage) override {
    path = store_->root();
    DiskUsage sum;
    const auto add = [&sum](const absl::StatusOr<DiskUsage>& one) {
      if (!one.ok()) return;  // gone meanwhile
      sum.bytes += one->bytes;
      sum.inodes += one->inodes;
    };
    const auto layers = store_->list("layers");
    const auto snapshots = store_->list("snapshots");
    if (!layers.ok()) return layers.status();
    if (!snapshots.ok()) return snapshots.status();
    for (const std::string& name : *layers) add(store_->layerUsage(name));
    for (const std::string& name : *snapshots) add(store_->snapshotUsage(op, name));
    if (absl::Status status = wanted(op); !status.ok()) return status;
    fill(usage, sum);
    return {};
  }

 private:
  Status list(const std::string& folder, berth::NameSink& out) {
    const auto names = store_->list(folder);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) out.add(name);
    return {};
  }

  bool mayCopy_ = true;
  std::unique_ptr<Store> store_;
};

}  // namespace
}  // namespace reflink

BERTH_PLUGIN(reflink::Reflink, {.name = "snapshotter-reflink",
                                .version = "1.0.0",
                                .summary = "Clones layers into a directory for each snapshot",
                                .threading = BERTH_THREADING_PER_OBJECT,
                                .options = R"([
  {"key": "root", "type": "string", "default": "", "example": "/srv/reflink",
   "help": "Where layers and snapshots are kept; empty: the instance's own folder."},
  {"key": "copies", "type": "string", "default": "allowed", "example": "never",
   "help": "What to do where files cannot be cloned: allowed copies them, never refuses to start."}
])"})
