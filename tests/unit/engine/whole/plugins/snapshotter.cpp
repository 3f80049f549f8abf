#include "berth/snapshotter.hpp"

#include <string>

#include "../world.hpp"

namespace {

using berth::Op;
using berth::Status;

class TestSnapshotter : public berth::Snapshotter {
 public:
  using Snapshotter::Snapshotter;

  Status configure(std::string_view options) override {
    world_ = &berth::testing::worldOf(options);
    return {};
  }
  uint32_t flags() override { return BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS; }
  Status layerApply(const Op&, const berth_layer&, berth::Stream&, berth_usage&) override {
    return {};
  }
  Status layerUsage(const Op&, const berth_layer&, berth_usage&) override { return {}; }
  Status layerRemove(const Op&, const berth_layer&) override { return {}; }
  Status layerList(const Op&, berth::NameSink&) override { return {}; }
  Status snapshotPrepare(const Op& op, const berth::SnapshotSpec& spec) override {
    return world_->answer(host(), op, "prepare", spec.key);
  }
  Status snapshotMount(const Op& op, std::string_view key, std::string_view) override {
    return world_->answer(host(), op, "mount", key);
  }
  Status snapshotUnmount(const Op& op, std::string_view key, std::string_view) override {
    return world_->answer(host(), op, "unmount", key);
  }
  Status snapshotUsage(const Op&, std::string_view, berth_usage&) override { return {}; }
  Status snapshotRemove(const Op& op, std::string_view key) override {
    // Whichever snapshot it is: the ids of new ones are not known beforehand.
    Status all = world_->answer(host(), op, "remove", {});
    return all.ok() ? world_->answer(host(), op, "remove", key) : all;
  }
  Status snapshotList(const Op& op, berth::NameSink& out) override {
    Status status = world_->answer(host(), op, "list", {});
    if (!status.ok()) return status;
    for (const std::string& key : world_->snapshots()) out.add(key);
    return {};
  }
  Status filesystem(const Op&, std::string& path, berth_usage&) override {
    path = host().rootDirectory();
    return {};
  }

 private:
  berth::testing::World* world_ = nullptr;
};

}  // namespace

BERTH_PLUGIN(TestSnapshotter, {.name = "engine-test-snapshotter",
                               .version = "1.0.0",
                               .summary = "for tests",
                               .threading = BERTH_THREADING_PARALLEL,
                               .options = berth::testing::kWorldOption})
