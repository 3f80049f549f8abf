// A checkpoint's tree in a folder of the test's own.
#pragma once

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/checkpoint/description.hpp"

namespace berth::checkpoint {

inline void writeText(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string readText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string messageOf(const absl::Status& status) {
  return std::string(support::fromAbsl(status.message()));
}

inline absl::Status goOn() {
  return absl::OkStatus();
}

class CheckpointTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }

  // The least that a checkpoint has, and some of what it may have.
  std::string makeTree(const std::string& name) const {
    std::string tree = path(name);
    writeText(tree + "/config.dump", configDump({.id = "abc",
                                                 .name = "web",
                                                 .image = "web:1",
                                                 .imageRef = "sha256:0123",
                                                 .imageName = "example.org/web:1",
                                                 .runtime = "runc",
                                                 .format = "criu"}));
    writeText(tree + "/spec.dump", R"({"process": {"args": ["web"]}})");
    writeText(tree + "/rootfs-diff.tar", "not looked into");
    writeText(tree + "/checkpoint/inventory.img", "inventory");
    writeText(tree + "/checkpoint/pages-1.img", std::string(3'000'000, 'p'));
    return tree;
  }

  support::Fd openNew(const std::string& name) const {
    auto file = support::openFile(path(name), O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  support::Fd open(const std::string& name) const {
    auto file = support::openFile(path(name), O_RDONLY);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }

 private:
  berth::testing::TemporaryDirectory folder_;
};

}  // namespace berth::checkpoint
