// The wrapper's extensions, through the tables that a host gets.
#include "berth/extensions.hpp"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "berth/network.hpp"

namespace berth {
namespace {

// An extension that berth/extensions.h does not know, in the wrapper's form.
struct VendorTable {
  size_t size;
  int32_t (*answer)(void* instance);
};
class VendorAnswer {
 public:
  static constexpr std::string_view kId = "example.answer";
  static constexpr uint32_t kRevision = 3;
  virtual int32_t answer() = 0;

  template <class T>
  static const VendorTable* table() {
    static constexpr VendorTable kTable = {
        sizeof(VendorTable),
        [](void* instance) -> int32_t { return detail::part<T, VendorAnswer>(instance).answer(); }};
    return &kTable;
  }

 protected:
  ~VendorAnswer() = default;
};

class Net final : public Network,
                  public Extensions<RuntimePause, RuntimeCheckpoint, RuntimePodResources,
                                    RuntimePortForward, SnapshotterRemoteLayers, SnapshotterDiff,
                                    SnapshotterVerify, SnapshotterQuota, VendorAnswer> {
 public:
  using Network::Network;
  Status configure(std::string_view) override { return {}; }
  Status attach(const Op&, const NetworkRequest&, NetworkResult&) override { return {}; }
  Status detach(const Op&, const NetworkRequest&, std::string_view) override { return {}; }
  Status check(const Op&, const NetworkRequest&, std::string_view) override { return {}; }
  Status status(const Op&) override { return {}; }
  Status gc(const Op&, const std::vector<Attachment>&) override { return {}; }
  Status setPodCidr(const Op&, std::string_view) override { return {}; }
  const void* extension(std::string_view id, uint32_t) override {
    static constexpr int kOwn = 5;
    return id == "own" ? &kOwn : nullptr;
  }

  Status pause(const Op&, std::string_view pod, std::string_view container) override {
    said = std::string(pod) + "/" + std::string(container);
    return {};
  }
  Status resume(const Op&, std::string_view, std::string_view) override {
    throw std::runtime_error("thrown by resume");
  }
  static constexpr std::string_view kCheckpointFormat = "files";
  Status checkCheckpoints(const Op&) override { return {}; }
  Status checkpoint(const Op&, const berth_checkpoint_spec& spec) override {
    said = copy(spec.image);
    return {};
  }
  Status restore(const Op&, const berth_restore_spec& spec,
                 berth_container_status& status) override {
    said = copy(spec.pod);
    status.pid = 7;
    return {};
  }
  Status updatePodResources(const Op&, std::string_view, std::string_view resources,
                            std::string_view) override {
    return Status(BERTH_NOT_FOUND, std::string(resources));
  }
  Status connectPort(const Op&, std::string_view, uint16_t port, int32_t& socket) override {
    socket = port;
    return {};
  }
  Status layerAdopt(const Op&, const berth_layer&, const berth_remote_layer& remote,
                    berth_usage& usage) override {
    said = copy(remote.reference);
    usage.bytes = 11;
    return {};
  }
  Status diff(const Op&, std::string_view key, uint32_t layers, Sink& tar) override {
    said = std::string(key) + std::to_string(layers);
    return tar.write("tar");
  }
  Status layerVerify(const Op&, const berth_layer& layer, uint32_t flags, Findings& out) override {
    out.refused(view(layer.diff_id), std::to_string(flags));
    return {};
  }
  Status snapshotVerify(const Op&, std::string_view key, uint32_t, Findings& out) override {
    out.limited(key, "limited");
    return {};
  }
  Status layerDrop(const Op&, const berth_layer& layer) override {
    said = copy(layer.diff_id);
    return {};
  }
  Status setAside(const Op&, Findings& out) override {
    out.refused("one", "aside");
    return {};
  }
  Status setQuota(const Op&, std::string_view key, uint64_t bytes, uint64_t inodes) override {
    said = std::string(key) + std::to_string(bytes) + std::to_string(inodes);
    return {};
  }
  int32_t answer() override { return 42; }

  std::string said;
};

class ExtensionsTest : public ::testing::Test {
 protected:
  berth_host host_{};
  Net net_{Host(&host_)};
  detail::ErrorSlot error_;
  const berth_plugin plugin_ =
      detail::describe<Net>({.name = "net", .version = "1", .requiredMinor = 1});

  void* instance() { return static_cast<Network*>(&net_); }
  template <class Table>
  const Table& table(std::string_view id, uint32_t revision = 1) {
    const void* found = plugin_.get_extension(instance(), str(id), revision);
    EXPECT_NE(found, nullptr) << id;
    return *static_cast<const Table*>(found);
  }
};

TEST_F(ExtensionsTest, AreFoundByIdAndRevision) {
  for (const char* id :
       {BERTH_EXTENSION_PAUSE, BERTH_EXTENSION_CHECKPOINT, BERTH_EXTENSION_POD_RESOURCES,
        BERTH_EXTENSION_PORT_FORWARD, BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_DIFF,
        BERTH_EXTENSION_VERIFY, BERTH_EXTENSION_QUOTA}) {
    EXPECT_NE(plugin_.get_extension(instance(), str(id), 1), nullptr) << id;
    EXPECT_EQ(plugin_.get_extension(instance(), str(id), 2), nullptr) << id;
  }
  EXPECT_EQ(plugin_.get_extension(instance(), str("example.other"), 1), nullptr);
  EXPECT_EQ(*static_cast<const int*>(plugin_.get_extension(instance(), str("own"), 1)), 5);
  EXPECT_EQ(table<VendorTable>("example.answer", 3).answer(instance()), 42);
}

TEST_F(ExtensionsTest, CallsReachTheObject) {
  const auto& pause = table<berth_runtime_pause>(BERTH_EXTENSION_PAUSE);
  EXPECT_EQ(pause.size, sizeof pause);
  EXPECT_EQ(pause.pause(instance(), nullptr, str("p"), str("c"), nullptr), BERTH_OK);
  EXPECT_EQ(net_.said, "p/c");
  EXPECT_EQ(pause.resume(instance(), nullptr, {}, {}, error_.get()), BERTH_INTERNAL);
  EXPECT_EQ(error_.status(BERTH_INTERNAL).message(), "thrown by resume");

  const auto& resources = table<berth_runtime_pod_resources>(BERTH_EXTENSION_POD_RESOURCES);
  EXPECT_EQ(resources.update(instance(), nullptr, {}, str("{}"), {}, nullptr), BERTH_NOT_FOUND);
  int32_t socket = 0;
  EXPECT_EQ(table<berth_runtime_port_forward>(BERTH_EXTENSION_PORT_FORWARD)
                .connect(instance(), nullptr, {}, 80, &socket, nullptr),
            BERTH_OK);
  EXPECT_EQ(socket, 80);
  EXPECT_EQ(table<berth_snapshotter_quota>(BERTH_EXTENSION_QUOTA)
                .set(instance(), nullptr, str("k"), 1, 2, nullptr),
            BERTH_OK);
  EXPECT_EQ(net_.said, "k12");
}

// Specs and results of another age than the plugin's.
TEST_F(ExtensionsTest, StructsOfOtherSizesAreAdapted) {
  const auto& checkpoint = table<berth_runtime_checkpoint>(BERTH_EXTENSION_CHECKPOINT);
  EXPECT_EQ(view(checkpoint.format), "files");
  EXPECT_EQ(checkpoint.check(instance(), nullptr, nullptr), BERTH_OK);
  berth_checkpoint_spec spec{};
  spec.size = offsetof(berth_checkpoint_spec, image);
  spec.image = str("must not be read");
  EXPECT_EQ(checkpoint.checkpoint(instance(), nullptr, &spec, nullptr), BERTH_OK);
  EXPECT_EQ(net_.said, "");
  berth_restore_spec restore{};
  restore.size = sizeof restore;
  restore.pod = str("pod");
  berth_container_status status{};
  status.size = sizeof status;
  EXPECT_EQ(checkpoint.restore(instance(), nullptr, &restore, &status, nullptr), BERTH_OK);
  EXPECT_EQ(status.pid, 7);

  berth_remote_layer remote{};
  remote.size = sizeof remote;
  remote.reference = str("r");
  berth_usage usage{sizeof(berth_usage), 0, 0};
  EXPECT_EQ(table<berth_snapshotter_remote_layers>(BERTH_EXTENSION_REMOTE_LAYERS)
                .layer_adopt(instance(), nullptr, nullptr, &remote, &usage, nullptr),
            BERTH_OK);
  EXPECT_EQ(net_.said, "r");
  EXPECT_EQ(usage.bytes, 11u);
}

TEST_F(ExtensionsTest, BytesGoIntoTheHostsSink) {
  std::string written;
  berth_sink sink{sizeof(berth_sink), &written,
                  [](berth_sink* self, const void* data, size_t length) -> berth_code {
                    auto& target = *static_cast<std::string*>(self->host);
                    if (!target.empty()) return BERTH_ABORTED;
                    target.assign(static_cast<const char*>(data), length);
                    return BERTH_OK;
                  }};
  const auto& diff = table<berth_snapshotter_diff>(BERTH_EXTENSION_DIFF);
  EXPECT_EQ(diff.diff(instance(), nullptr, str("key"), 3, &sink, nullptr), BERTH_OK);
  EXPECT_EQ(written, "tar");
  EXPECT_EQ(net_.said, "key3");
  EXPECT_EQ(diff.diff(instance(), nullptr, str("key"), 3, &sink, nullptr), BERTH_ABORTED);
}

TEST_F(ExtensionsTest, FindingsGoIntoTheHostsSink) {
  std::string told;
  berth_finding_sink sink{sizeof(berth_finding_sink), &told,
                          [](berth_finding_sink* self, const berth_finding* finding) {
                            *static_cast<std::string*>(self->host) +=
                                copy(finding->what) + " " + copy(finding->detail) + ";";
                          }};
  const berth_layer layer{sizeof layer, {}, {}, str("layer")};
  const auto& verify = table<berth_snapshotter_verify>(BERTH_EXTENSION_VERIFY);
  EXPECT_EQ(verify.layer_verify(instance(), nullptr, &layer, BERTH_VERIFY_QUICK, &sink, nullptr),
            BERTH_OK);
  EXPECT_EQ(verify.snapshot_verify(instance(), nullptr, str("key"), 0, &sink, nullptr), BERTH_OK);
  EXPECT_EQ(verify.set_aside(instance(), nullptr, &sink, nullptr), BERTH_OK);
  EXPECT_EQ(told, "layer 1;key limited;one aside;");
  EXPECT_EQ(verify.layer_drop(instance(), nullptr, &layer, nullptr), BERTH_OK);
  EXPECT_EQ(net_.said, "layer");
}

TEST_F(ExtensionsTest, TheLowestMinorVersionCanBeSet) {
  EXPECT_EQ(plugin_.required_minor, 1u);
}

}  // namespace
}  // namespace berth
