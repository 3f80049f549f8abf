// A daemon's life, again and again, on one store: an engine with plugins that answer as a test
// wishes.
#pragma once

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../support/temporary_directory.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/capability_names.hpp"
#include "engine/engine.hpp"
#include "test_paths.hpp"
#include "world.hpp"

namespace berth::engine::testing {

namespace v1 = runtime::v1;
using berth::testing::Answer;
using berth::testing::ContainerFact;
using berth::testing::World;
using support::strCat;

// Ids of 64 digits, told apart by their first.
inline std::string id(char digit) {
  return strCat(std::string(1, digit), std::string(63, '0'));
}

// One image, "app", without layers.
class TestImages final : public images::ImageService {
 public:
  TestImages() {
    auto image = std::make_shared<images::Image>();
    image->id = "sha256:app";
    image_ = image;
  }
  absl::StatusOr<std::shared_ptr<const images::Image>> pull(const plugins::Operation&,
                                                            std::string_view reference,
                                                            const plugins::Credentials*,
                                                            const images::PullTarget&,
                                                            images::PullProgress*) override {
    return find(reference);
  }
  absl::Status importImages(const plugins::Operation&, const images::ImportRequest&,
                            images::PullProgress*, const images::ImportTeller&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<images::Exported> exportImage(const plugins::Operation&,
                                               const images::ExportRequest&,
                                               images::LayoutTarget&) override {
    return images::Exported();
  }
  absl::StatusOr<std::shared_ptr<const images::Image>> setPinned(std::string_view reference,
                                                                 bool) override {
    return find(reference);
  }
  absl::Status ensureUnpacked(const plugins::Operation& op, const images::Image&,
                              const std::string&, const plugins::Credentials*) override {
    while (unpacked_.valid() &&
           unpacked_.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
      BERTH_RETURN_IF_ERROR(op.check());
    }
    return absl::OkStatus();
  }
  images::LayerFigures layerFigures() const override { return {}; }
  void limitWrites(uint64_t) override {}
  void completeBy(std::shared_ptr<const images::ShortNames>) override {}
  void judgeBy(std::shared_ptr<const signatures::Policy>) override {}
  absl::Status checkAccepted(const plugins::Operation&, const images::Image&,
                             const std::vector<std::string>& names) override {
    return names == refused_ ? absl::UnknownError("SignatureValidationFailed: as told")
                             : absl::OkStatus();
  }
  // A container that asks by these names gets no image.
  void refuse(std::vector<std::string> names) { refused_ = std::move(names); }
  // Before anybody asks: it takes so long until images are unpacked.
  void hold(std::shared_future<void> until) { unpacked_ = std::move(until); }
  absl::StatusOr<std::shared_ptr<const images::Image>> find(
      std::string_view reference) const override {
    if (reference == "app" || reference == image_->id) return image_;
    return absl::NotFoundError("no such image");
  }
  absl::StatusOr<std::shared_ptr<const images::Image>> findFor(
      std::string_view reference, const std::string& platform) const override {
    if (platform.empty() || reference == image_->id) return find(reference);
    return absl::NotFoundError("no such image");
  }
  std::vector<std::shared_ptr<const images::Image>> list() const override { return {image_}; }
  absl::StatusOr<common::ImageConfig> config(const images::Image&) override {
    common::ImageConfig config;
    config.command = {"/bin/app"};
    return config;
  }
  absl::StatusOr<images::ImageContent> content(const images::Image&) override {
    return images::ImageContent{"{}", "{}", {}, "source"};
  }
  absl::Status remove(const plugins::Operation&, std::string_view, const std::string&) override {
    return absl::OkStatus();
  }
  void collectGarbage() override {}
  absl::Status checkStorage(const plugins::Operation&, const images::StorageRequest&,
                            const images::StorageTeller&) override {
    return absl::OkStatus();
  }
  void finish() override {}

 private:
  std::shared_ptr<const images::Image> image_;
  std::shared_future<void> unpacked_;
  std::vector<std::string> refused_;
};

// Counts the operations that have ended and are called so.
class Counting final : public plugins::Observer {
 public:
  explicit Counting(std::string name) : name_(std::move(name)) { plugins::setObserver(this); }
  ~Counting() { plugins::setObserver(nullptr); }
  void onOperation(plugins::Timeline timeline) override {
    if (timeline.operation.starts_with(name_)) ++count_;
  }
  void onCall(const plugins::Instance&, bool, std::chrono::nanoseconds) override {}
  int count() const { return count_; }

 private:
  const std::string name_;
  std::atomic<int> count_ = 0;
};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    std::string setAside;
    auto opened = store::Store::open(directory_ / "berth.db", setAside);
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    services_.root = directory_ / "root";
    services_.state = directory_ / "state";
    services_.log = [](auto...) {};
    services_.event = [this](std::string_view, plugins::Event event) {
      engine_->deliver(std::move(event));
    };
    services_.saveState = [this](std::string_view kind, std::string_view instance,
                                 std::string_view object, std::string_view state) {
      return engine_->savePluginState(kind, instance, std::string(object), state);
    };
    services_.credentials = [](auto...) { return absl::NotFoundError("none"); };
  }
  ~EngineTest() override { stop(); }

  // The daemon starts with these instances configured, of which the first is the default one.
  void start(const std::vector<std::string>& runtimes = {"runc"}) {
    open(runtimes);
    ASSERT_TRUE(engine_->recover().ok());
  }
  // Up to where it recovers.
  void open(const std::vector<std::string>& runtimes = {"runc"}) {
    registry_ = std::make_unique<plugins::Registry>(std::vector<std::string>{test_paths::plugins},
                                                    services_);
    const boost::json::object options{
        {"world", std::to_string(reinterpret_cast<uintptr_t>(&world_))}};
    std::vector<plugins::Wanted> wanted;
    for (const std::string& name : snapshotters_)
      wanted.push_back({plugins::Kind::kSnapshotter, name, "snapshotter", options});
    for (const std::string& name : networks_)
      wanted.push_back({plugins::Kind::kNetwork, name, "network", options});
    for (const std::string& name : runtimes)
      wanted.push_back({.kind = plugins::Kind::kRuntime,
                        .name = name,
                        .plugin = "runtime",
                        .options = options,
                        .required = name == runtimes.front()});
    ASSERT_TRUE(registry_->load(wanted).ok());
    ASSERT_TRUE(registry_->start().ok());
    Settings settings;
    settings.root = services_.root;
    settings.state = services_.state;
    settings.network = networks_.front();
    settings.snapshotter = snapshotters_.front();
    Preferences preferences;
    preferences.defaultRuntime = runtimes.empty() ? "" : runtimes.front();
    common::HostFacts host;
    host.capabilities = common::capabilityBit(common::kCapabilityCount) - 1;
    host.kernelCapabilities = host.capabilities;
    host.hostname = "node-1";
    engine_ = std::make_unique<Engine>(std::move(settings), std::move(preferences), *registry_,
                                       images_, *store_, std::move(host));
  }
  // In the order of the daemon.
  void stop() {
    if (engine_ == nullptr) return;
    engine_->finish();
    registry_->stop();
    engine_.reset();
    registry_.reset();
  }

  records::PodRecord podRecord(char digit, records::PodState state = records::POD_READY) const {
    records::PodRecord record;
    record.set_id(id(digit));
    *record.mutable_config() = podConfig(strCat("pod-", std::string(1, digit)));
    record.set_runtime("runc");
    record.set_state(state);
    auto boot = support::readFile("/proc/sys/kernel/random/boot_id");
    record.set_boot_id(boot.ok() ? boot->substr(0, boot->find('\n')) : "");
    return record;
  }
  records::ContainerRecord containerRecord(char digit, char pod,
                                           v1::ContainerState state = v1::CONTAINER_RUNNING) const {
    records::ContainerRecord record;
    record.set_id(id(digit));
    record.set_pod_id(id(pod));
    *record.mutable_config() = containerConfig(strCat("c-", std::string(1, digit)));
    record.set_state(state);
    record.set_snapshotter("snap");
    if (state == v1::CONTAINER_RUNNING) record.set_started_at(1);
    return record;
  }
  // What the last daemon has left.
  void keep(const records::PodRecord& record) {
    ASSERT_TRUE(store_->put(kPodKind, record.id(), record.SerializeAsString()).ok());
    makeDirectory(strCat("state/pods/", record.id(), "/runtime"));
  }
  void keep(const records::ContainerRecord& record) {
    ASSERT_TRUE(store_->put(kContainerKind, record.id(), record.SerializeAsString()).ok());
    makeDirectory(strCat("state/containers/", record.id(), "/rootfs"));
  }
  void makeDirectory(const std::string& name) {
    ASSERT_TRUE(support::makeDirectories(directory_ / name).ok());
  }
  records::PodRecord kept(char digit) {
    records::PodRecord record;
    auto value = store_->get(kPodKind, id(digit));
    EXPECT_TRUE(value.ok() && record.ParseFromString(*value)) << value.status();
    return record;
  }

  // A pod of the host's namespaces: nothing of it needs the kernel.
  static v1::PodSandboxConfig podConfig(const std::string& name) {
    v1::PodSandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_namespace_("default");
    config.mutable_metadata()->set_uid("uid-" + name);
    auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_network(v1::NODE);
    options->set_pid(v1::NODE);
    options->set_ipc(v1::NODE);
    return config;
  }
  static v1::ContainerConfig containerConfig(const std::string& name) {
    v1::ContainerConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_image()->set_image("app");
    return config;
  }
  absl::StatusOr<std::string> runPod(const std::string& name) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = podConfig(name);
    return engine_->runPodSandbox(request, soon());
  }
  absl::StatusOr<std::string> createContainer(const std::string& pod,
                                              const v1::ContainerConfig& config) {
    v1::CreateContainerRequest request;
    request.set_pod_sandbox_id(pod);
    *request.mutable_config() = config;
    return engine_->createContainer(request, soon());
  }
  v1::ContainerStatus status(char digit) {
    auto status = engine_->containerStatus(id(digit));
    EXPECT_TRUE(status.ok()) << status.status();
    return status.ok() ? *status : v1::ContainerStatus();
  }
  template <class Item>
  static std::vector<Item> parsed(const ListItems& items) {
    std::vector<Item> result;
    for (const auto& item : items) EXPECT_TRUE(result.emplace_back().ParseFromString(*item));
    return result;
  }
  // By the first digits of their ids.
  std::string readyPods() {
    std::string result;
    for (const v1::PodSandbox& pod : parsed<v1::PodSandbox>(engine_->listPodSandboxes({})))
      if (pod.state() == v1::SANDBOX_READY) result += pod.id()[0];
    return result;
  }
  // Until it holds; what is waited for is done by threads of the engine.
  static bool eventually(const std::function<bool()>& holds) {
    const Deadline until = soon();
    while (!holds()) {
      if (Deadline::clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static Deadline soon() { return Deadline::clock::now() + std::chrono::seconds(30); }

  berth::testing::TemporaryDirectory directory_;
  World world_;
  std::vector<std::string> networks_{"net"};
  std::vector<std::string> snapshotters_{"snap"};
  std::unique_ptr<store::Store> store_;
  plugins::HostServices services_;
  TestImages images_;
  std::unique_ptr<plugins::Registry> registry_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace berth::engine::testing
