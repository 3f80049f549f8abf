#include "config.hpp"

#include <gmock/gmock.h>

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

absl::StatusOr<NetworkConfig> list(std::string_view text) {
  return parseNetwork(text, "10-net.conflist", FileKind::kList);
}

std::string failure(std::string_view text, FileKind kind = FileKind::kList) {
  const auto network = parseNetwork(text, "10-net.conflist", kind);
  EXPECT_EQ(network.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(network.status().message());
}

TEST(ConfigTest, ReadsAList) {
  const auto network = list(R"({"cniVersion": "1.0.0", "name": "net", "disableCheck": true,
      "plugins": [{"type": "bridge", "own": [1, 2]}, {"type": "portmap"}]})");
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->name, "net");
  EXPECT_EQ(network->version, (Version{1, 0, 0}));
  EXPECT_TRUE(network->disableCheck);
  EXPECT_FALSE(network->disableGc);
  ASSERT_THAT(network->plugins, SizeIs(2));
  EXPECT_EQ(network->plugins[0].type, "bridge");
  EXPECT_TRUE(network->plugins[0].object.contains("own"));
}

TEST(ConfigTest, UpgradesASinglePlugin) {
  const auto network = parseNetwork(R"({"cniVersion": "0.3.1", "name": "net", "type": "ptp"})",
                                    "10-net.conf", FileKind::kEither);
  ASSERT_TRUE(network.ok()) << network.status();
  ASSERT_THAT(network->plugins, SizeIs(1));
  EXPECT_EQ(network->plugins[0].type, "ptp");
  EXPECT_EQ(network->version, (Version{0, 3, 1}));
}

TEST(ConfigTest, WithoutAVersionItIsTheFirst) {
  const auto network = list(R"({"name": "net", "plugins": [{"type": "bridge"}]})");
  ASSERT_TRUE(network.ok());
  EXPECT_EQ(network->version, kOldest);
}

TEST(ConfigTest, TakesTheHighestKnownVersion) {
  const auto network = list(R"({"cniVersion": "0.4.0", "name": "net",
      "cniVersions": ["1.0.0", "2.0.0", "0.4.0", "1.1.0"], "plugins": [{"type": "bridge"}]})");
  ASSERT_TRUE(network.ok());
  EXPECT_THAT(network->offered, ElementsAre(Version{0, 4, 0}, Version{1, 0, 0}, Version{1, 1, 0}));
  EXPECT_EQ(network->version, kNewest);
}

TEST(ConfigTest, RefusesVersionsThatAreAllTooNew) {
  const absl::Status refused =
      list(R"({"cniVersion": "1.2.0", "name": "n", "plugins": [{"type": "x"}]})").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("newer than 1.1.0"));
}

TEST(ConfigTest, ReadsFlagsWrittenAsStrings) {
  const auto network = list(
      R"({"name": "n", "disableGC": "True", "disableCheck": "false", "plugins": [{"type": "x"}]})");
  ASSERT_TRUE(network.ok());
  EXPECT_TRUE(network->disableGc);
  EXPECT_FALSE(network->disableCheck);
  EXPECT_THAT(failure(R"({"name": "n", "disableGC": "yes", "plugins": [{"type": "x"}]})"),
              HasSubstr("disableGC"));
}

TEST(ConfigTest, NamesWhatIsWrong) {
  EXPECT_THAT(failure("{"), HasSubstr("10-net.conflist"));
  EXPECT_THAT(failure("[]"), HasSubstr("10-net.conflist"));
  EXPECT_THAT(failure(R"({"plugins": [{"type": "x"}]})"), HasSubstr("name"));
  EXPECT_THAT(failure(R"({"name": "../n", "plugins": [{"type": "x"}]})"), HasSubstr("name"));
  EXPECT_THAT(failure(R"({"name": "n", "cniVersion": 1, "plugins": [{"type": "x"}]})"),
              HasSubstr("cniVersion"));
  EXPECT_THAT(failure(R"({"name": "n", "cniVersions": "1.0.0", "plugins": [{"type": "x"}]})"),
              HasSubstr("cniVersions"));
  EXPECT_THAT(failure(R"({"name": "n", "plugins": []})"), HasSubstr("plugins"));
  EXPECT_THAT(failure(R"({"name": "n", "plugins": [{"type": "x"}, {}]})"),
              HasSubstr("plugins[1]: type"));
  EXPECT_THAT(failure(R"({"name": "n", "plugins": [{"type": "../x"}]})"), HasSubstr("../x"));
  EXPECT_THAT(failure(R"({"name": "n", "plugins": [{"type": "x", "capabilities": []}]})"),
              HasSubstr("capabilities"));
  EXPECT_THAT(failure(R"({"name": "n", "loadOnlyInlinedPlugins": true})"),
              HasSubstr("loadOnlyInlinedPlugins"));
  EXPECT_THAT(failure(R"({"name": "n"})", FileKind::kEither), HasSubstr("type"));
}

TEST(ConfigTest, AListMayLeaveItsPluginsToItsFolder) {
  const auto network = list(R"({"name": "n"})");
  ASSERT_TRUE(network.ok());
  EXPECT_FALSE(network->loadOnlyInlined);
  EXPECT_TRUE(network->plugins.empty());
}

TEST(ConfigTest, SurvivesBeingWrittenAndRead) {
  auto network = list(R"({"cniVersions": ["0.4.0", "1.0.0"], "name": "net", "disableGC": true,
      "plugins": [{"type": "bridge", "mtu": 1450}]})");
  ASSERT_TRUE(network.ok());
  network->version = {0, 4, 0};
  const auto again = parseNetwork(network->toJson(), "record", FileKind::kEither);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->version, (Version{0, 4, 0}));
  EXPECT_TRUE(again->disableGc);
  EXPECT_EQ(again->plugins[0].object, network->plugins[0].object);
}

}  // namespace
}  // namespace berth::cni
