// What CRIU is told by its configuration file.
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "criu_configuration.hpp"

namespace berth::runc {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CriuConfiguration : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-criu-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    folder_ = pattern;
    container_ = {.id = "c", .bundle = folder_, .cgroup = "/pods.slice/berth-c.scope"};
  }
  void TearDown() override { EXPECT_TRUE(support::removeTree(folder_).ok()); }

  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(
        support::replaceFile(folder_ + name, text, 0600, support::Durability::kVisible).ok());
  }
  std::string read(const std::string& name) { return support::readFile(folder_ + name).value(); }
  boost::json::object bundle() {
    return support::parseJsonObject(read("/config.json"), "config.json").value();
  }
  absl::Status tell() { return tellCriuItsCgroup(container_, folder_); }

  std::string folder_;
  ContainerRecord container_;
};

TEST_F(CriuConfiguration, NamesTheContainersOwnCgroup) {
  write("/config.json", R"({"ociVersion": "1.0.2", "annotations": {"other": "stays"}})");
  ASSERT_TRUE(tell().ok());
  EXPECT_THAT(read("/criu.conf"), EndsWith("\ncgroup-root=/pods.slice/berth-c.scope\n"));
  const boost::json::object made = bundle();
  EXPECT_EQ(support::stringMember(made, "ociVersion"), "1.0.2");
  const boost::json::object& annotations = *support::objectMember(made, "annotations");
  EXPECT_EQ(support::stringMember(annotations, "org.criu.config"), folder_ + "/criu.conf");
  EXPECT_EQ(support::stringMember(annotations, "other"), "stays");
}

TEST_F(CriuConfiguration, WorksForABundleWithoutAnnotations) {
  write("/config.json", "{}");
  ASSERT_TRUE(tell().ok());
  EXPECT_EQ(
      support::stringMember(*support::objectMember(bundle(), "annotations"), "org.criu.config"),
      folder_ + "/criu.conf");
}

TEST_F(CriuConfiguration, KeepsWhatWasConfiguredBefore) {
  write("/given.conf", "tcp-close");
  write("/config.json", R"({"annotations": {"org.criu.config": ")" + folder_ + R"(/given.conf"}})");
  ASSERT_TRUE(tell().ok());
  EXPECT_THAT(read("/criu.conf"), StartsWith("tcp-close\ncgroup-root="));
  EXPECT_EQ(read("/given.conf"), "tcp-close");
}

TEST_F(CriuConfiguration, IsTheSameWhenARestoreIsRepeated) {
  write("/config.json", "{}");
  ASSERT_TRUE(tell().ok());
  const std::string first = read("/criu.conf");
  ASSERT_TRUE(tell().ok());
  EXPECT_EQ(read("/criu.conf"), first);
}

TEST_F(CriuConfiguration, AConfigurationThatIsNamedMustExist) {
  write("/config.json", R"({"annotations": {"org.criu.config": "/nowhere/criu.conf"}})");
  const absl::Status told = tell();
  EXPECT_TRUE(absl::IsNotFound(told)) << told;
  EXPECT_THAT(std::string(told.message()), HasSubstr("/nowhere/criu.conf"));
  EXPECT_FALSE(support::pathExists(folder_ + "/criu.conf"));
}

}  // namespace
}  // namespace berth::runc
