#include "engine/checkpoint/archive.hpp"

#include "../snapshotter-overlay/tar_writer.hpp"
#include "fixture.hpp"

namespace berth::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ArchiveTest : public CheckpointTest {
 protected:
  absl::Status importText(const std::string& archive, const ImportLimits& limits = {}) {
    writeText(path("given.tar"), archive);
    std::filesystem::remove_all(path("imported"));
    std::filesystem::create_directory(path("imported"));
    return importArchive(open("given.tar"), path("imported"), limits, goOn);
  }
};

TEST_F(ArchiveTest, HasTheNamesThatOthersLookFor) {
  const std::string tree = makeTree("tree");
  writeText(tree + "/dump.log", "log");
  writeText(tree + "/leftover.tmp", "not part of a checkpoint");
  const support::Fd file = openNew("out.tar");
  ASSERT_TRUE(writeArchive(tree, file, goOn).ok());
  const std::string archive = readText(path("out.tar"));
  const auto entries = test::readAll(archive);
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::vector<std::string> names;
  for (const test::ReadEntry& read : *entries) {
    names.push_back(read.entry.name);
    EXPECT_EQ(read.entry.mode, read.entry.type == untar::EntryType::kDirectory ? 0700u : 0600u);
    EXPECT_EQ(read.entry.uid, 0u);
  }
  ASSERT_GE(names.size(), 7u);
  std::sort(names.begin() + 5, names.end());
  EXPECT_THAT(names,
              ElementsAre("config.dump", "spec.dump", "rootfs-diff.tar", "dump.log", "checkpoint/",
                          "checkpoint/inventory.img", "checkpoint/pages-1.img"));
}

TEST_F(ArchiveTest, ComesBackAsItWas) {
  const std::string tree = makeTree("tree");
  {
    const support::Fd file = openNew("out.tar");
    ASSERT_TRUE(writeArchive(tree, file, goOn).ok());
  }
  ASSERT_TRUE(importText(readText(path("out.tar"))).ok());
  for (const char* name : {"config.dump", "spec.dump", "rootfs-diff.tar",
                           "checkpoint/inventory.img", "checkpoint/pages-1.img"}) {
    EXPECT_EQ(readText(path("imported/") + name), readText(tree + "/" + name)) << name;
  }
  EXPECT_TRUE(readTree(path("imported")).ok());
}

TEST_F(ArchiveTest, EndsWhenItIsNoLongerWanted) {
  const std::string tree = makeTree("tree");
  const auto cancelled = [] { return absl::CancelledError("not wanted"); };
  const support::Fd file = openNew("out.tar");
  EXPECT_EQ(writeArchive(tree, file, cancelled).code(), absl::StatusCode::kCancelled);
}

TEST_F(ArchiveTest, LeavesOutWhatNoCheckpointHas) {
  ASSERT_TRUE(importText(test::TarWriter()
                             .directory("./")
                             .file("./config.dump", "c")
                             .file("etc/passwd", "x")
                             .file("checkpoint/deeper/file", "x")
                             .file("unknown", "x")
                             .finish())
                  .ok());
  EXPECT_EQ(readText(path("imported/config.dump")), "c");
  EXPECT_FALSE(std::filesystem::exists(path("imported/etc")));
  EXPECT_FALSE(std::filesystem::exists(path("imported/unknown")));
  EXPECT_FALSE(std::filesystem::exists(path("imported/checkpoint/deeper")));
}

TEST_F(ArchiveTest, RefusesWhatLeadsElsewhere) {
  const std::vector<std::string> archives = {
      test::TarWriter().file("../config.dump", "x").finish(),
      test::TarWriter().file("checkpoint/../../x", "x").finish(),
      test::TarWriter().symlink("config.dump", "/etc/passwd").finish(),
      test::TarWriter().symlink("checkpoint", "/etc").finish(),
      test::TarWriter().hardLink("spec.dump", "/etc/passwd").finish(),
      test::TarWriter().entry({.name = "config.dump", .type = '6'}).finish(),
      test::TarWriter().file("config.dump", "a").file("config.dump", "b").finish(),
  };
  for (const std::string& archive : archives) {
    EXPECT_EQ(importText(archive).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(ArchiveTest, RefusesWhatIsCutOff) {
  const std::string whole = test::TarWriter().file("config.dump", std::string(2000, 'x')).finish();
  EXPECT_TRUE(importText(whole).ok());
  EXPECT_EQ(importText(whole.substr(0, 1500)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(importText("no tar at all" + std::string(600, 'x')).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ArchiveTest, KeepsTheLimits) {
  const std::string archive =
      test::TarWriter().file("config.dump", "12345").file("spec.dump", "12345").finish();
  EXPECT_TRUE(importText(archive, {.bytes = 10}).ok());
  const absl::Status tooLong = importText(archive, {.bytes = 9});
  EXPECT_EQ(tooLong.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(messageOf(tooLong), HasSubstr("spec.dump"));
  EXPECT_EQ(importText(archive, {.files = 1}).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ArchiveTest, CopiesADirectoryWithoutFollowingLinks) {
  const std::string tree = makeTree("tree");
  writeText(tree + "/etc/other", "x");
  std::filesystem::create_directory(path("imported"));
  ASSERT_TRUE(importDirectory(open("tree"), path("imported"), {}, goOn).ok());
  EXPECT_EQ(readText(path("imported/checkpoint/inventory.img")), "inventory");
  EXPECT_FALSE(std::filesystem::exists(path("imported/etc")));

  std::filesystem::create_symlink("/etc/passwd", tree + "/checkpoint/link.img");
  std::filesystem::create_directory(path("second"));
  const absl::Status refused = importDirectory(open("tree"), path("second"), {}, goOn);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(messageOf(refused), HasSubstr("checkpoint/link.img"));

  std::filesystem::create_directory(path("empty"));
  std::filesystem::create_directory(path("third"));
  EXPECT_EQ(importDirectory(open("empty"), path("third"), {}, goOn).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace berth::checkpoint
