#include "engine/checkpoint/description.hpp"

#include "fixture.hpp"

namespace berth::checkpoint {
namespace {

using ::testing::HasSubstr;

TEST(ConfigDump, ComesBackAsItWas) {
  const Description given{.id = "abc",
                          .name = "web",
                          .image = "web:1",
                          .imageRef = "0123",
                          .imageName = "example.org/web:1",
                          .runtime = "crun",
                          .format = "criu",
                          .createdAt = 1'700'000'000'123'456'789,
                          .checkpointedAt = 1'700'000'001'000'000'000,
                          .restored = true};
  const auto read = parseConfigDump(configDump(given));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->id, given.id);
  EXPECT_EQ(read->name, given.name);
  EXPECT_EQ(read->image, given.image);
  EXPECT_EQ(read->imageRef, given.imageRef);
  EXPECT_EQ(read->imageName, given.imageName);
  EXPECT_EQ(read->runtime, given.runtime);
  EXPECT_EQ(read->format, given.format);
  EXPECT_EQ(read->createdAt, given.createdAt);
  EXPECT_EQ(read->checkpointedAt, given.checkpointedAt);
  EXPECT_TRUE(read->restored);
}

// As another engine writes it.
TEST(ConfigDump, ReadsThatOfOthers) {
  const auto read = parseConfigDump(
      R"({"id": "9f", "name": "k8s_c_p_default_u_0", "rootfsImage": "docker.io/library/busybox:1",
          "rootfsImageRef": "docker.io/library/busybox@sha256:aa",
          "rootfsImageName": "docker.io/library/busybox:1", "runtime": "runc",
          "createdTime": "2024-05-06T07:08:09.123456789Z", "checkpointedTime": "never",
          "restored": false})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->format, "criu");
  EXPECT_EQ(read->imageRef, "docker.io/library/busybox@sha256:aa");
  EXPECT_EQ(read->createdAt, 1'714'979'289'123'456'789);
  EXPECT_EQ(read->checkpointedAt, 0);
}

TEST(ConfigDump, MustNameAnImage) {
  EXPECT_EQ(parseConfigDump(R"({"id": "9f"})").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(parseConfigDump("[]").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(parseConfigDump("").status().code(), absl::StatusCode::kInvalidArgument);
}

using ReadTreeTest = CheckpointTest;

TEST_F(ReadTreeTest, ReadsWhatItSaysOfItself) {
  const auto tree = readTree(makeTree("tree"));
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->description.name, "web");
  EXPECT_TRUE(tree->spec.contains("process"));
}

TEST_F(ReadTreeTest, SaysWhatIsMissing) {
  for (const std::string name : {"config.dump", "spec.dump", "checkpoint"}) {
    const std::string tree = makeTree("tree");
    std::filesystem::remove_all(tree + "/" + name);
    const absl::Status status = readTree(tree).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(messageOf(status), HasSubstr(name));
  }
}

}  // namespace
}  // namespace berth::checkpoint
