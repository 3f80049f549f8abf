// A snapshotter that keeps each layer's tar as a file, named by its diff ID, in its root directory.
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "berth/extensions.hpp"

namespace {

namespace fs = std::filesystem;
using berth::Op;
using berth::Status;

class TestSnapshotter : public berth::Snapshotter,
                        public berth::Extensions<berth::SnapshotterQuota, berth::SnapshotterVerify,
                                                 berth::SnapshotterRemoteLayers> {
 public:
  using Snapshotter::Snapshotter;

  Status configure(std::string_view) override { return {}; }
  Status start() override {
    host().info("start");
    return {};
  }
  void stop() override { host().info("stop"); }

  uint32_t flags() override { return BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS; }
  Status layerApply(const Op& op, const berth_layer& layer, berth::Stream& tar,
                    berth_usage& usage) override {
    const fs::path path = file(layer);
    if (fs::exists(path)) return layerUsage(Op(nullptr), layer, usage);
    host().info("apply", {{"layer", berth::view(layer.diff_id)}});
    std::string bytes;
    for (;;) {
      std::string_view piece;
      Status status = tar.next(piece);
      if (!status.ok()) return status;
      if (piece.empty()) break;
      bytes.append(piece);
      if (status = hold(op, "hold-apply", berth::copy(layer.diff_id)); !status.ok()) return status;
    }
    std::ofstream(path, std::ios::binary) << bytes;
    usage.bytes = bytes.size();
    usage.inodes = 1;
    return {};
  }
  Status layerUsage(const Op&, const berth_layer& layer, berth_usage& usage) override {
    if (!fs::exists(file(layer))) return Status(BERTH_NOT_FOUND, "no such layer");
    usage.bytes = fs::file_size(file(layer));
    usage.inodes = 1;
    return {};
  }
  Status layerRemove(const Op& op, const berth_layer& layer) override {
    Status held = hold(op, "hold", berth::copy(layer.diff_id));
    if (!held.ok()) return held;
    fs::remove(file(layer));
    host().info("remove", {{"layer", berth::view(layer.diff_id)}});
    return {};
  }
  Status layerList(const Op& op, berth::NameSink& out) override {
    Status held = hold(op, "hold-list", {});
    if (!held.ok()) return held;
    for (const auto& entry : fs::directory_iterator(host().rootDirectory())) {
      out.add(entry.path().filename().string());
    }
    return {};
  }
  Status snapshotPrepare(const Op&, const berth::SnapshotSpec& spec) override {
    return Status(BERTH_NOT_FOUND, "snapshot " + std::string(spec.key) + " above " +
                                       std::to_string(spec.layers.size()) + " layers, top " +
                                       berth::copy(spec.layers.back().diff_id));
  }
  Status snapshotMount(const Op&, std::string_view, std::string_view) override { return {}; }
  Status snapshotUnmount(const Op&, std::string_view, std::string_view) override { return {}; }
  Status snapshotUsage(const Op&, std::string_view, berth_usage&) override { return {}; }
  Status snapshotRemove(const Op&, std::string_view) override { return {}; }
  Status snapshotList(const Op&, berth::NameSink&) override { return {}; }
  Status filesystem(const Op&, std::string& path, berth_usage& usage) override {
    path = host().rootDirectory();
    usage.bytes = 42;
    usage.inodes = 2;
    return {};
  }
  Status layerAdopt(const Op&, const berth_layer& layer, const berth_remote_layer& remote,
                    berth_usage& usage) override {
    if (remote.credentials == nullptr) return Status(BERTH_UNAUTHENTICATED, "nothing is lent");
    std::string password;
    const auto found = [](void* user, const berth_credentials* credentials) {
      *static_cast<std::string*>(user) = berth::copy(credentials->password);
    };
    berth::detail::ErrorSlot error;
    const berth_code code = remote.credentials(remote.user, found, &password, error.get());
    if (code != BERTH_OK) return error.status(code);
    host().info("adopt", {{"layer", berth::view(layer.diff_id)},
                          {"of", berth::view(remote.reference)},
                          {"password", password}});
    usage.bytes = remote.descriptor->blob_size;
    return {};
  }
  Status setQuota(const Op&, std::string_view, uint64_t, uint64_t) override { return {}; }
  // A layer is damaged once it is empty.
  Status layerVerify(const Op&, const berth_layer& layer, uint32_t flags,
                     berth::Findings& out) override {
    if (!fs::exists(file(layer))) return Status(BERTH_NOT_FOUND, "no such layer");
    if (fs::is_empty(file(layer)))
      out.refused("tar", (flags & BERTH_VERIFY_QUICK) != 0 ? "is short" : "is empty");
    return {};
  }
  Status snapshotVerify(const Op&, std::string_view, uint32_t, berth::Findings&) override {
    return {};
  }
  Status layerDrop(const Op&, const berth_layer& layer) override {
    fs::remove(file(layer));
    host().info("drop", {{"layer", berth::view(layer.diff_id)}});
    return {};
  }
  Status setAside(const Op&, berth::Findings& out) override {
    out.refused("layer of a newer version", "is left alone");
    return {};
  }

 private:
  // While there is such a file beside the host's directories, a call takes until it is cancelled;
  // when the file says something, only one whose "instance layer" has that in it.
  Status hold(const Op& op, const std::string& name, const std::string& layer) {
    std::ifstream file(fs::path(host().rootDirectory()) / "../../.." / name);
    if (!file) return {};
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string call = std::string(host().instance()) + " " + layer;
    if (call.find(text) == std::string::npos) return {};
    host().info("hold", {{"layer", layer}});
    while (!op.cancelled()) std::this_thread::yield();
    return Status(BERTH_CANCELLED, "cancelled");
  }
  fs::path file(const berth_layer& layer) const {
    return fs::path(host().rootDirectory()) / berth::view(layer.diff_id);
  }
};

}  // namespace

BERTH_PLUGIN(TestSnapshotter, {.name = "test-snapshotter",
                               .version = "1.0.0",
                               .summary = "for tests",
                               .threading = BERTH_THREADING_PARALLEL,
                               .options = ""})
