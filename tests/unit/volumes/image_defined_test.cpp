#include "engine/volumes/image_defined.hpp"

#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"

namespace berth::volumes {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> paths(std::vector<std::string> declared, const std::string& mounts = "") {
  common::ImageConfig image;
  image.volumes = std::move(declared);
  runtime::v1::ContainerConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(mounts, &config));
  return definedVolumes(image, config);
}

TEST(DefinedVolumes, AreCleanSortedAndThereOnce) {
  EXPECT_THAT(paths({"/data/", "b//c", "/data", "/a/./x/../y"}),
              ElementsAre("/a/y", "/b/c", "/data"));
}

TEST(DefinedVolumes, LeaveAloneWhatEveryContainerHas) {
  EXPECT_THAT(paths({"/", "/..", "", "/dev", "/dev/shm", "/proc", "/sys/fs/cgroup"}), IsEmpty());
  EXPECT_THAT(paths({"/devices", "/process", "/system"}),
              ElementsAre("/devices", "/process", "/system"));
  EXPECT_THAT(paths({std::string("/a\0b", 4), "/bad\xff"}), IsEmpty());
}

TEST(DefinedVolumes, GiveWayToMountsAtOrAboveThem) {
  const std::string mounts = "mounts { container_path: '/data/' } mounts { container_path: '/p' }";
  EXPECT_THAT(paths({"/data", "/data/below", "/p/q", "/pq", "/other"}, mounts),
              ElementsAre("/other", "/pq"));
  EXPECT_THAT(paths({"/data"}, "mounts { container_path: '/data/below' }"), ElementsAre("/data"));
}

class VolumesInRootfs : public ::testing::Test {
 protected:
  void SetUp() override {
    rootfs_ = directory_ / "rootfs";
    ASSERT_TRUE(support::makeDirectories(rootfs_ + "/data/deep").ok());
    ASSERT_TRUE(support::makeDirectories(directory_ / "outside").ok());
    write(rootfs_ + "/data/file");
    write(rootfs_ + "/file");
    link("/data", "absolute");
    link("../../../outside", "out");
    link(directory_ / "outside", "host");
    link("nowhere", "dangling");
  }
  void link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), (rootfs_ + "/" + name).c_str()), 0);
  }
  static void write(const std::string& path) {
    ASSERT_TRUE(support::replaceFile(path, "text", 0640, support::Durability::kVisible).ok());
  }
  absl::StatusOr<bool> make(const std::string& path, const std::string& target) {
    return makeVolume(rootfs_, path, target, own_, [] { return absl::OkStatus(); });
  }

  testing::TemporaryDirectory directory_;
  std::string rootfs_;
  Owner own_{::getuid(), ::getgid()};
};

TEST_F(VolumesInRootfs, AreFilledWithWhatIsThere) {
  const std::string target = directory_ / "volumes/0";
  ASSERT_EQ(::chmod((rootfs_ + "/data").c_str(), 0710), 0);
  auto made = make("/absolute", target);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(*made);
  EXPECT_EQ(*support::readFile(target + "/file"), "text");
  EXPECT_TRUE(support::pathExists(target + "/deep"));
  struct stat info = {};
  ASSERT_EQ(::stat(target.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0710u);
}

TEST_F(VolumesInRootfs, AreEmptyWhereNothingIs) {
  for (const char* const path : {"/new/deep", "/dangling", "/out", "/host", "/file/below"}) {
    const std::string target = directory_ / "volume";
    auto made = make(path, target);
    ASSERT_TRUE(made.ok()) << path << made.status();
    EXPECT_TRUE(std::filesystem::is_empty(target)) << path;
    ASSERT_EQ(::rmdir(target.c_str()), 0);
  }
}

TEST_F(VolumesInRootfs, AreNotMadeOfFiles) {
  auto made = make("/file", directory_ / "volume");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_FALSE(*made);
  EXPECT_FALSE(support::pathExists(directory_ / "volume"));
}

TEST_F(VolumesInRootfs, EndWithTheOperation) {
  auto made = makeVolume(rootfs_, "/data", directory_ / "volume", own_,
                         [] { return absl::CancelledError("given up"); });
  EXPECT_EQ(made.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(VolumesInRootfs, AreMadeInsideOfItAlone) {
  const auto makeDirectory = [&](const std::string& path) {
    auto made = makeInRootfs(rootfs_, path, own_);
    return made.ok() && *made;
  };
  EXPECT_TRUE(makeDirectory("/absolute/new/deep"));
  EXPECT_TRUE(support::pathExists(rootfs_ + "/data/new/deep"));
  EXPECT_TRUE(makeDirectory("/data"));
  EXPECT_FALSE(makeDirectory("/file"));
  EXPECT_FALSE(makeDirectory("/file/below"));
  EXPECT_FALSE(makeDirectory("/dangling"));
  EXPECT_FALSE(makeDirectory("/host/below"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ / "outside"));
}

}  // namespace
}  // namespace berth::volumes
