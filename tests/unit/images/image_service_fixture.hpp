// Pulling, against an image source that serves files and a snapshotter that keeps tars as files.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../plugin-host/test_host.hpp"
#include "content.hpp"
#include "images/digest.hpp"
#include "images/image_service.hpp"
#include "test_paths.hpp"

namespace berth::images::testing {

namespace fs = std::filesystem;
using plugins::Kind;
using plugins::testing::TestHost;
using support::strCat;

class ImageServiceTest : public ::testing::Test {
 protected:
  TestHost host_;
  plugins::Registry registry_{{test_paths::plugins}, host_.services()};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ImageService> images_;
  plugins::Operation op_{"test"};
  std::vector<std::string> reports_;
  std::shared_ptr<const signatures::Policy> policy_;  // these from the next open() on
  std::chrono::milliseconds patience_{std::chrono::hours(1)};

  void SetUp() override {
    fs::create_directory(blobs());
    fs::create_directory(moreBlobs());
    const absl::Status loaded =
        registry_.load({{Kind::kSnapshotter, "snap", "snapshotter", {}},
                        {Kind::kSnapshotter, "second", "snapshotter", {}},
                        {Kind::kImageSource, "files", "source", {{"directory", blobs()}}},
                        {Kind::kImageSource, "more", "source", {{"directory", moreBlobs()}}}});
    ASSERT_TRUE(loaded.ok()) << loaded;
    ASSERT_TRUE(registry_.start().ok());
    open();
  }
  void TearDown() override { EXPECT_THAT(reports_, ::testing::ElementsAre()); }
  void open(unsigned downloads = 6, unsigned unpacks = 0) {
    images_.reset();
    store_.reset();
    std::string setAside;
    auto store = store::Store::open(host_.directory() / "berth.db", setAside);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    Options options;
    options.sources = {"files", "more"};
    options.snapshotter = "snap";
    options.platform = "linux/amd64";
    options.maxLayerBytes = 1u << 20;
    options.concurrentDownloads = downloads;
    options.concurrentUnpacks = unpacks;
    options.policy = policy_;
    options.patience = patience_;
    auto images = ImageService::open(options, registry_, *store_, [this](std::string_view line) {
      reports_.emplace_back(line);
    });
    ASSERT_TRUE(images.ok()) << images.status();
    images_ = *std::move(images);
  }

  std::string blobs() const { return host_.directory() / "blobs"; }
  // Of the source that is asked second.
  std::string moreBlobs() const { return host_.directory() / "more-blobs"; }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(blobs() + "/" + name, std::ios::binary) << bytes;
  }
  std::string blob(const std::string& bytes) const {
    write(sha256(bytes), bytes);
    return sha256(bytes);
  }
  static std::string descriptor(const std::string& digest, size_t size) {
    return strCat(R"({"mediaType": "x", "digest": ")", digest, R"(", "size": )", size, "}");
  }
  static std::string config(const std::vector<std::string>& tars) {
    std::string diffIds;
    for (const std::string& tar : tars) {
      diffIds += strCat(diffIds.empty() ? "" : ",", "\"", sha256(tar), "\"");
    }
    return strCat(R"({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers",
                     "diff_ids": [)",
                  diffIds, "]}}");
  }
  // Of an image whose config names `tars` and whose layers are `compressed`, which are published.
  std::string manifestOf(const std::vector<std::string>& tars,
                         const std::vector<std::string>& compressed) const {
    const std::string text = config(tars);
    std::string layers;
    for (const std::string& layer : compressed) {
      layers += strCat(layers.empty() ? "" : ",", descriptor(blob(layer), layer.size()));
    }
    return strCat(R"({"schemaVersion": 2, "config": )", descriptor(blob(text), text.size()),
                  R"(, "layers": [)", layers, "]}");
  }
  // Publishes such an image; its id.
  std::string publish(const std::string& name, const std::vector<std::string>& tars,
                      const std::vector<std::string>& compressed) const {
    write("a.example_" + name, blob(manifestOf(tars, compressed)));
    return sha256(config(tars));
  }
  // Publishes an artifact, whose configuration says nothing; the digest of its manifest.
  std::string publishArtifact(const std::string& name, const std::string& layerType,
                              const std::vector<std::string>& layers) const {
    std::string descriptors;
    for (const std::string& layer : layers)
      descriptors += strCat(descriptors.empty() ? "" : ",", R"({"mediaType": ")", layerType,
                            R"(", "digest": ")", blob(layer), R"(", "size": )", layer.size(), "}");
    const std::string manifest =
        strCat(R"({"schemaVersion": 2, "artifactType": "application/vnd.test",
                   "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": ")",
               blob("{}"), R"(", "size": 2}, "layers": [)", descriptors, "]}");
    write("a.example_" + name, blob(manifest));
    return sha256(manifest);
  }
  absl::StatusOr<std::shared_ptr<const Image>> pull(const std::string& name) {
    return images_->pull(op_, "a.example/" + name, nullptr, {}, nullptr);
  }
  std::string pullFailure(const std::string& name, absl::StatusCode code) {
    const auto pulled = pull(name);
    EXPECT_EQ(pulled.status().code(), code) << pulled.status();
    EXPECT_TRUE(images_->list().empty()) << "nothing of a failed pull is visible";
    return std::string(support::fromAbsl(pulled.status().message()));
  }
  std::vector<std::string> layers() const {
    std::vector<std::string> names;
    for (const auto& entry :
         fs::directory_iterator(host_.directory() / "root/plugins/snapshotter-snap")) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  void loseLayer(const std::string& tar) const {
    fs::remove(host_.directory() / "root/plugins/snapshotter-snap/" + sha256(tar));
  }
  size_t count(const std::string& message) const {
    const auto log = host_.log();
    return static_cast<size_t>(std::count_if(log.begin(), log.end(), [&](const auto& line) {
      return line.find(message) != std::string::npos;
    }));
  }
  // The collector works on a thread of its own; it has no other sign than the files.
  void awaitNoLayers() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!layers().empty()) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the layers stay";
      std::this_thread::yield();
    }
  }

  // Holds back a blob until the gate is opened.
  void closeGate(const std::string& digest) const {
    ASSERT_EQ(::mkfifo((blobs() + "/" + digest + ".gate").c_str(), 0600), 0);
  }
  void openGate(const std::string& digest) const {
    std::ofstream(blobs() + "/" + digest + ".gate").close();
  }
  // Who is at the gate stays there until letGo(); others pass.
  void keepAtGate(const std::string& digest) const {
    const std::string gate = blobs() + "/" + digest + ".gate";
    std::filesystem::rename(gate, gate + "-kept");
  }
  void letGo(const std::string& digest) const {
    std::ofstream(blobs() + "/" + digest + ".gate-kept").close();
  }
  // Once there is that many of them.
  void awaitCount(const std::string& message, size_t wanted) const {
    while (count(message) < wanted) std::this_thread::yield();
  }

  const std::string one_ = noise(300000, 1);
  const std::string two_ = noise(2000, 2);
};

}  // namespace berth::images::testing
