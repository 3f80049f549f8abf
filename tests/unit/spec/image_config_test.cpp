#include "common/image_config.hpp"

#include "fixture.hpp"

namespace berth::common {
namespace {

using spec::test::invalid;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(ImageConfig, ReadsEverything) {
  const auto config = parseImageConfig(R"({
    "architecture": "arm64", "os": "linux", "variant": "v8", "created": "2024-01-01T00:00:00Z",
    "author": "me", "unknown": [1],
    "config": {"Env": ["A=b"], "Entrypoint": ["/ep"], "Cmd": ["x", "y"], "User": "bob",
      "WorkingDir": "/w", "StopSignal": "SIGINT", "Volumes": {"/b": {}, "/a": null},
      "ExposedPorts": {"80/tcp": {}}, "Labels": {"k": "v", "n": null}, "Healthcheck": {}},
    "rootfs": {"type": "layers", "diff_ids": [")" +
                                           kDigest + R"("]},
    "history": [{"created": "c", "created_by": "b", "comment": "m", "author": "a",
                 "empty_layer": true}, {}]})",
                                       "it");
  ASSERT_OK(config);
  EXPECT_EQ(config->architecture, "arm64");
  EXPECT_EQ(config->os, "linux");
  EXPECT_EQ(config->variant, "v8");
  EXPECT_EQ(config->created, "2024-01-01T00:00:00Z");
  EXPECT_EQ(config->author, "me");
  EXPECT_THAT(config->environment, ElementsAre("A=b"));
  EXPECT_THAT(config->entrypoint, ElementsAre("/ep"));
  EXPECT_THAT(config->command, ElementsAre("x", "y"));
  EXPECT_EQ(config->user, "bob");
  EXPECT_EQ(config->workingDirectory, "/w");
  EXPECT_EQ(config->stopSignal, "SIGINT");
  EXPECT_THAT(config->volumes, ElementsAre("/a", "/b"));
  EXPECT_THAT(config->exposedPorts, ElementsAre("80/tcp"));
  EXPECT_THAT(config->labels, ElementsAre(Pair("k", "v"), Pair("n", "")));
  EXPECT_THAT(config->diffIds, ElementsAre(kDigest));
  ASSERT_EQ(config->history.size(), 2u);
  EXPECT_EQ(config->history[0].createdBy, "b");
  EXPECT_TRUE(config->history[0].emptyLayer);
  EXPECT_FALSE(config->history[1].emptyLayer);
}

TEST(ImageConfig, TakesNullForMissing) {
  for (
      const char* text :
      {"{}", R"({"config": null, "rootfs": null, "history": null, "os": null})",
       R"({"config": {"Env": null, "Cmd": null, "Volumes": null, "Labels": null, "User": null}})"}) {
    const auto config = parseImageConfig(text, "it");
    ASSERT_OK(config);
    EXPECT_THAT(config->environment, IsEmpty());
    EXPECT_THAT(config->volumes, IsEmpty());
    EXPECT_EQ(config->user, "");
  }
}

TEST(ImageConfig, SaysWhatIsWrongAndWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "it"},
      {"[]", "parse it: expected a JSON object"},
      {R"({"os": 1})", "parse it: os must be a string, not int64"},
      {R"({"config": []})", "config must be an object, not array"},
      {R"({"config": {"Env": "A=b"}})", "config.Env must be an array, not string"},
      {R"({"config": {"Env": ["A=b", 3]}})", "config.Env[1] must be a string"},
      {R"({"config": {"Entrypoint": {}}})", "config.Entrypoint must be an array"},
      {R"({"config": {"User": 0}})", "config.User must be a string"},
      {R"({"config": {"Volumes": ["/a"]}})", "config.Volumes must be an object"},
      {R"({"config": {"Labels": {"a": 1}}})", "config.Labels.a must be a string"},
      {R"({"rootfs": {"type": "tar"}})", "rootfs.type must be \"layers\""},
      {R"({"rootfs": {"diff_ids": ["sha256:abc"]}})", "rootfs.diff_ids[0] is not a"},
      {R"({"rootfs": {"diff_ids": [null]}})", "rootfs.diff_ids[0] must be a string"},
      {R"({"history": [1]})", "history[0] must be an object"},
      {R"({"history": [{"empty_layer": "yes"}]})", "history[0].empty_layer must be true or false"}};
  for (const auto& [text, message] : cases)
    EXPECT_THAT(parseImageConfig(text, "it"), invalid(message)) << text;
}

TEST(ImageConfig, LayersAreNamedByRegisteredAlgorithms) {
  const auto parse = [](const std::string& digest) {
    return parseImageConfig(R"({"rootfs": {"diff_ids": [")" + digest + R"("]}})", "it");
  };
  EXPECT_TRUE(parse("sha512:" + std::string(128, '0')).ok());
  EXPECT_THAT(parse("sha512:" + std::string(64, '0')),
              invalid("rootfs.diff_ids[0] is not a sha256 or sha512 digest"));
  EXPECT_THAT(parse("blake3:" + std::string(64, '0')),
              invalid("rootfs.diff_ids[0] is not a sha256 or sha512 digest"));
}

}  // namespace
}  // namespace berth::common
