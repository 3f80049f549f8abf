// An engine with plugins that run nothing, and a pod with one container that it finds at its start.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../images/image_service_fixture.hpp"
#include "berth/support/files.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

class EngineTest : public images::testing::ImageServiceTest {
 protected:
  static constexpr const char* kPod = "pod";
  static constexpr const char* kContainer = "container";

  void SetUp() override {
    std::filesystem::create_directory(blobs());
    const absl::Status loaded =
        registry_.load({{plugins::Kind::kSnapshotter, "snap", "snapshotter", {}},
                        {plugins::Kind::kSnapshotter, "containers", "snapshotter", {}},
                        {plugins::Kind::kImageSource, "files", "source", {{"directory", blobs()}}},
                        {plugins::Kind::kRuntime,
                         "runtime",
                         support::strCat(ENGINE_PLUGIN_DIR, "/berth-engine-runtime.so"),
                         {}}});
    ASSERT_TRUE(loaded.ok()) << loaded;
    ASSERT_TRUE(registry_.start().ok());
    open();
    put(podRecord());
    put(containerRecord());
  }
  void TearDown() override {
    if (engine_ != nullptr) engine_->finish();
    ImageServiceTest::TearDown();
  }

  static records::PodRecord podRecord() {
    records::PodRecord record;
    record.set_id(kPod);
    record.mutable_config()->mutable_metadata()->set_name("web");
    record.set_runtime("runtime");
    record.set_state(records::POD_READY);
    record.set_runtime_state(kContainer);
    const auto boot = support::readFile("/proc/sys/kernel/random/boot_id");
    EXPECT_TRUE(boot.ok()) << boot.status();
    record.set_boot_id(boot->substr(0, boot->find('\n')));
    return record;
  }
  static records::ContainerRecord containerRecord() {
    records::ContainerRecord record;
    record.set_id(kContainer);
    record.set_pod_id(kPod);
    record.mutable_config()->mutable_metadata()->set_name("app");
    record.set_state(runtime::v1::CONTAINER_RUNNING);
    record.set_snapshotter("containers");
    record.set_process(R"({"args": ["true"], "cwd": "/"})");
    return record;
  }
  void put(const records::PodRecord& record) const {
    ASSERT_TRUE(store_->put(kPodKind, record.id(), record.SerializeAsString()).ok());
  }
  void put(const records::ContainerRecord& record) const {
    ASSERT_TRUE(store_->put(kContainerKind, record.id(), record.SerializeAsString()).ok());
  }

  void startEngine() {
    Settings settings;
    settings.root = host_.directory() / "root";
    settings.state = host_.directory() / "state";
    settings.network = "none";
    settings.snapshotter = "containers";
    Preferences preferences;
    preferences.defaultRuntime = "runtime";
    engine_ = std::make_unique<Engine>(settings, preferences, registry_, *images_, *store_,
                                       common::HostFacts());
  }
  void recover() const {
    const absl::Status recovered = engine_->recover();
    ASSERT_TRUE(recovered.ok()) << recovered;
  }
  // For what the engine does on threads of its own, without another sign.
  static void await(const std::function<bool()>& holds) {
    while (!holds()) std::this_thread::yield();
  }
  runtime::v1::ContainerStatus status() const {
    auto found = engine_->containerStatus(kContainer);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : runtime::v1::ContainerStatus();
  }

  std::unique_ptr<Engine> engine_;
};

}  // namespace berth::engine
