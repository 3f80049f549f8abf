// Exports into folders of others.
#include "main/layout_writer.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"

namespace berth::program {
namespace {

namespace fs = std::filesystem;

class LayoutWriterTest : public ::testing::TestWithParam<LayoutForm> {
 protected:
  berth::testing::TemporaryDirectory directory_;

  std::vector<std::string> names(const std::string& folder) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory_ / folder))
      found.push_back(entry.path().filename());
    return found;
  }
  void write(LayoutWriter& writer) const {
    ASSERT_TRUE(writer.write("{}").ok());
    ASSERT_TRUE(writer.finish("index.json").ok());
    ASSERT_TRUE(writer.write("bytes").ok());
    ASSERT_TRUE(writer.finish("blobs/sha256/abc").ok());
  }
};

TEST_P(LayoutWriterTest, LeavesTheLayoutAlone) {
  fs::create_directory(directory_ / "user");
  auto writer = LayoutWriter::create(directory_ / "user/out", GetParam());
  ASSERT_TRUE(writer.ok()) << writer.status();
  write(**writer);
  const absl::Status committed = (*writer)->commit();
  ASSERT_TRUE(committed.ok()) << committed;
  writer->reset();
  EXPECT_THAT(names("user"), ::testing::ElementsAre("out"));
  EXPECT_EQ(LayoutWriter::create(directory_ / "user/out", GetParam()).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_P(LayoutWriterTest, LeavesNothingWithoutACommit) {
  fs::create_directory(directory_ / "user");
  auto writer = LayoutWriter::create(directory_ / "user/out", GetParam());
  ASSERT_TRUE(writer.ok()) << writer.status();
  write(**writer);
  ASSERT_TRUE((*writer)->restart().ok());
  write(**writer);
  writer->reset();
  EXPECT_THAT(names("user"), ::testing::IsEmpty());
}

TEST_P(LayoutWriterTest, AFolderThatIsPutInThePlaceOfItsOwnIsNotWrittenTo) {
  fs::create_directory(directory_ / "user");
  fs::create_directories(directory_ / "victim/layout");
  for (const char* name : {"victim/next", "victim/archive", "victim/layout/index.json"})
    std::ofstream(directory_ / name) << "the victim's";
  auto writer = LayoutWriter::create(directory_ / "user/out", GetParam());
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::vector<std::string> staging = names("user");
  ASSERT_EQ(staging.size(), 1u);
  fs::rename(directory_ / "user/" + staging[0], directory_ / "user/moved");
  fs::create_directory_symlink(directory_ / "victim", directory_ / "user/" + staging[0]);
  write(**writer);
  const absl::Status committed = (*writer)->commit();
  EXPECT_TRUE(committed.ok()) << committed;
  writer->reset();
  EXPECT_THAT(names("victim"), ::testing::UnorderedElementsAre("layout", "next", "archive"));
  EXPECT_THAT(names("victim/layout"), ::testing::ElementsAre("index.json"));
  for (const char* name : {"victim/next", "victim/archive", "victim/layout/index.json"}) {
    std::string text;
    std::getline(std::ifstream(directory_ / name), text);
    EXPECT_EQ(text, "the victim's") << name;
  }
  EXPECT_TRUE(fs::exists(directory_ / "user/out"));
}

INSTANTIATE_TEST_SUITE_P(Forms, LayoutWriterTest,
                         ::testing::Values(LayoutForm::kFolder, LayoutForm::kArchive));

}  // namespace
}  // namespace berth::program
