#include "engine/checkpoint/pod_folder.hpp"

#include <algorithm>

#include "fixture.hpp"

namespace berth::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(PodOptions, ComeBackAsTheyWere) {
  const PodFolder given{.format = "criu",
                        .containers = {{"web", "container-0"}, {"../x", "container-1"}}};
  const auto read = parsePodOptions(podOptions(given));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->format, "criu");
  EXPECT_EQ(read->containers, given.containers);
}

TEST(PodOptions, NameNothingOutsideOfTheFolder) {
  for (const char* place : {"", ".", "..", "../x", "/etc", "a/b", ".hidden"}) {
    const auto read = parsePodOptions(podOptions({.containers = {{"web", place}}}));
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << place;
  }
  for (const char* text : {"", "{}", R"({"version": 1})", R"({"version": 1, "containers": {}})",
                           R"({"version": 2, "containers": {"a": "b"}})",
                           R"({"version": 1, "containers": {"a": 5}})"}) {
    EXPECT_EQ(parsePodOptions(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

class PodOutputTest : public CheckpointTest {
 protected:
  PodOutputTest() { std::filesystem::create_directory(path("out")); }

  static std::string fill(const absl::StatusOr<std::string>& partial) {
    EXPECT_TRUE(partial.ok()) << partial.status();
    writeText(*partial + "/container-0/config.dump", "c");
    writeText(*partial + "/pod.dump", "{}");
    writeText(*partial + "/pod.options", podOptions({.containers = {{"web", "container-0"}}}));
    return *partial;
  }
  std::vector<std::string> names() const { return support::listDirectory(path("out")).value(); }
  bool noted() const { return std::filesystem::exists(path("note")); }
};

TEST_F(PodOutputTest, CommittedItIsWhole) {
  {
    PodOutput output(path("out"), path("note"));
    fill(output.begin());
    EXPECT_TRUE(noted());
    ASSERT_TRUE(output.commit().ok());
  }
  EXPECT_THAT(names(), UnorderedElementsAre("container-0", "pod.dump", "pod.options"));
  EXPECT_EQ(readText(path("out/container-0/config.dump")), "c");
  EXPECT_FALSE(noted());
}

TEST_F(PodOutputTest, AbandonedItIsGone) {
  {
    PodOutput output(path("out"), path("note"));
    fill(output.begin());
  }
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_FALSE(noted());
}

// The daemon ended while the parts were being moved.
TEST_F(PodOutputTest, CutOffInTheMiddleItIsTakenBack) {
  const std::string partial = path("out/.berth-partial-1");
  writeText(path("note"), partial);
  writeText(path("out/container-0/config.dump"), "c");
  writeText(path("out/somebody-elses"), "x");
  writeText(partial + "/pod.dump", "{}");
  writeText(partial + "/pod.options", podOptions({.containers = {{"web", "container-0"}}}));
  ASSERT_TRUE(undoPodOutput(path("note")).ok());
  EXPECT_THAT(names(), ElementsAre("somebody-elses"));
  EXPECT_FALSE(noted());
}

// It ended right after the last of them.
TEST_F(PodOutputTest, CutOffAfterTheEndItStays) {
  const std::string partial = path("out/.berth-partial-1");
  writeText(path("note"), partial);
  std::filesystem::create_directory(partial);
  writeText(path("out/container-0/config.dump"), "c");
  writeText(path("out/pod.dump"), "{}");
  writeText(path("out/pod.options"), "{}");
  ASSERT_TRUE(undoPodOutput(path("note")).ok());
  EXPECT_THAT(names(), UnorderedElementsAre("container-0", "pod.dump", "pod.options"));
}

TEST_F(PodOutputTest, WithoutANoteThereIsNothingToUndo) {
  EXPECT_TRUE(undoPodOutput(path("note")).ok());
}

}  // namespace
}  // namespace berth::checkpoint
