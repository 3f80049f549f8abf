// Which files are read, how they are merged, and what happens when they cannot be read.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>

#include "config/changes.hpp"
#include "fixture.hpp"

namespace berth::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ConfigTest, NoFileMeansDefaults) {
  const auto config = load(paths());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(*config, defaults());
  EXPECT_EQ(config->runtimes.at("runc").snapshotter, "overlay");
  EXPECT_EQ(config->root, "/var/lib/berth");
  EXPECT_EQ(config->state, "/run/berth");
  EXPECT_EQ(config->defaultRuntime, "runc");
  EXPECT_EQ(config->grpc.socket, "/run/berth/berth.sock");
  EXPECT_EQ(config->grpc.socketMode, 0660u);
  EXPECT_EQ(config->grpc.maxMessageBytes, 16 * 1024 * 1024);
  EXPECT_EQ(config->images.maxLayerBytes, int64_t{64} << 30);
  EXPECT_EQ(config->containers.defaultCapabilities.size(), 14u);
  EXPECT_EQ(config->runtimes.at("runc").plugin, "runtime-runc");
  EXPECT_EQ(config->snapshotters.at("overlay").plugin, "snapshotter-overlay");
  EXPECT_EQ(config->sources.at("registry").plugin, "registry-v2");
  // For "berth image import"; pulls do not ask it.
  EXPECT_EQ(config->sources.at("layout").plugin, "source-oci-layout");
  EXPECT_THAT(config->images.sources, ::testing::ElementsAre("registry"));
  EXPECT_EQ(config->networks.at("cni").plugin, "network-cni");
  ASSERT_EQ(config->pluginDirs.size(), 1u);
  EXPECT_THAT(config->pluginDirs[0], ::testing::EndsWith("/berth/plugins"));
}

TEST_F(ConfigTest, EmptyFileMeansDefaults) {
  EXPECT_EQ(*loadText(""), *load({.file = directory_ / "none", .dropIns = directory_ / "none"}));
  EXPECT_EQ(*loadText("# only a comment\n[grpc]\n"), *loadText(""));
}

TEST_F(ConfigTest, NamedFileMustExist) {
  Paths named = paths();
  named.missingFile = MissingFile::kIsError;
  const auto config = load(named);
  EXPECT_EQ(config.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(named.file));
}

TEST_F(ConfigTest, OfFilesThatAreRefusedWhatCanBeReadIsRead) {
  const auto socketIn = [&](const std::string& text) {
    write("berth.toml", text);
    EXPECT_FALSE(load(paths()).ok()) << text;
    return loadReadable(paths())->grpc.socket;
  };
  const std::string before = "[grpc]\nsocket = \"/s\"\n";
  // What is wrong, lines that are no TOML, and such that begin what has no end.
  for (const char* wrong : {"[log]\nlevel = 7", "no_such = 1\n", "[[[", "x = \"", "x = [\n1,\n2,\n",
                            "x = \"\"\"\n1\n2\n"})
    EXPECT_EQ(socketIn(before + wrong), "/s") << wrong;
  EXPECT_EQ(socketIn("[[[\n" + before), defaults().grpc.socket);
  EXPECT_EQ(socketIn("[grpc]\nsocket = 7\n"), defaults().grpc.socket);
  write("d/10.toml", "[grpc]\nsocket = \"/other\"\n");
  EXPECT_EQ(socketIn("[[[\n"), "/other");
  // One that would take long to read.
  std::string endless = before + "x = [\n";
  for (int line = 0; line < 1000; ++line) endless += "1,\n";
  write("d/10.toml", endless);
  EXPECT_EQ(socketIn("root = 7\n"), defaults().grpc.socket);
}

TEST_F(ConfigTest, DropInsInNameOrderOverride) {
  write("berth.toml",
        "root = \"/main\"\nstate = \"/main-state\"\n[images]\nmax_concurrent_downloads = 1\n"
        "max_concurrent_unpacks = 1\n[containers]\ndefault_env = [\"A=1\", \"B=2\"]\n");
  write("d/20-second.toml", "[images]\nmax_concurrent_downloads = 3\n");
  write("d/10-first.toml",
        "root = \"/first\"\n[images]\nmax_concurrent_downloads = 2\n"
        "[containers]\ndefault_env = [\"C=3\"]\n");
  write("d/30-ignored.toml.bak", "root = \"/ignored\"\n");
  write("d/.40-hidden.toml", "root = \"/hidden\"\n");
  const auto config = load(paths());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->root, "/first");
  EXPECT_EQ(config->state, "/main-state");
  EXPECT_EQ(config->images.maxConcurrentDownloads, 3);
  EXPECT_EQ(config->images.maxConcurrentUnpacks, 1);
  EXPECT_THAT(config->containers.defaultEnv, ElementsAre("C=3"));
}

TEST_F(ConfigTest, DropInsWorkWithoutAMainFile) {
  write("d/a.toml", "root = \"/elsewhere\"\n");
  EXPECT_EQ(load(paths())->root, "/elsewhere");
}

TEST_F(ConfigTest, TablesOfInstancesMergeKeyByKey) {
  write("berth.toml",
        "[runtimes.kata]\nplugin = \"runtime-kata\"\nannotations = [\"io.kata.\"]\n"
        "[runtimes.kata.options]\nshim = \"a\"\nnested = { x = 1, y = [1, 2] }\n");
  write("d/1.toml", "[runtimes.kata.options]\nshim = \"b\"\nnested = { y = [3] }\n");
  const auto config = load(paths());
  ASSERT_TRUE(config.ok()) << config.status();
  const Runtime& kata = config->runtimes.at("kata");
  EXPECT_EQ(kata.plugin, "runtime-kata");
  EXPECT_EQ(boost::json::serialize(kata.options), R"({"nested":{"x":1,"y":[3]},"shim":"b"})");
  EXPECT_EQ(kata.place.text, (directory_ / "berth.toml") + ":1:11");
}

TEST_F(ConfigTest, ErrorsNameTheFileThatIsWrong) {
  write("berth.toml", "rooot = 1\n");
  write("d/1.toml", "\n[grpc]\n  sockett = 1\n");
  write("d/2.toml", "[grpc]\nmax_message_bytes = -1\n");
  const auto config = load(paths());
  EXPECT_EQ(std::string(config.status().message()),
            (directory_ / "berth.toml") + ":1:1: unknown key rooot; did you mean root?\n" +
                (directory_ / "d/1.toml") +
                ":3:3: unknown key grpc.sockett; did you mean grpc.socket?\n" +
                (directory_ / "d/2.toml") +
                ":2:21: grpc.max_message_bytes: expected an integer from 65536 to 2147483647, "
                "found the integer -1");
}

TEST_F(ConfigTest, InvalidTomlInSeveralFilesIsToldAtOnce) {
  write("berth.toml", "root = \n");
  write("d/1.toml", "x = [1,\n");
  const std::string message(load(paths()).status().message());
  EXPECT_THAT(message, AllOf(HasSubstr((directory_ / "berth.toml") + ":1:"),
                             HasSubstr((directory_ / "d/1.toml") + ":"), HasSubstr("\n")));
}

TEST_F(ConfigTest, UnreadableFiles) {
  ASSERT_TRUE(support::makeDirectories(directory_ / "berth.toml").ok());
  const auto folder = load(paths());
  EXPECT_FALSE(folder.ok());
  EXPECT_THAT(std::string(folder.status().message()),
              AllOf(HasSubstr(directory_ / "berth.toml"), HasSubstr("Is a directory")));
  ASSERT_TRUE(support::removePath(directory_ / "berth.toml").ok());

  write("d/x", "");
  ASSERT_EQ(::symlink("nowhere", (directory_ / "d/1.toml").c_str()), 0);
  const auto dangling = load(paths());
  EXPECT_EQ(dangling.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(dangling.status().message()), HasSubstr(directory_ / "d/1.toml"));
}

TEST_F(ConfigTest, ForbiddenFile) {
  write("berth.toml", "");
  ASSERT_EQ(::chmod((directory_ / "berth.toml").c_str(), 0), 0);
  if (::geteuid() == 0) GTEST_SKIP() << "nothing is forbidden to root";
  EXPECT_EQ(load(paths()).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(ConfigTest, HugeFileIsRefused) {
  const auto config = loadText(std::string((1u << 20) + 1, '#'));
  EXPECT_EQ(config.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("berth.toml"));
  EXPECT_TRUE(loadText(std::string(1u << 20, '#')).ok());
}

TEST_F(ConfigTest, WhatOthersMayWriteIsRefused) {
  write("berth.toml", "");
  write("d/more.toml", "");
  ASSERT_TRUE(load(paths()).ok());
  for (const char* name : {"berth.toml", "d", "d/more.toml"}) {
    const std::string path = directory_ / name;
    struct stat found {};
    ASSERT_EQ(::stat(path.c_str(), &found), 0);
    ASSERT_EQ(::chmod(path.c_str(), found.st_mode | S_IWOTH), 0);
    const absl::Status refused = load(paths()).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << name;
    EXPECT_THAT(std::string(refused.message()), AllOf(HasSubstr("load the configuration: "),
                                                      HasSubstr("chmod go-w " + path + ",")));
    ASSERT_EQ(::chmod(path.c_str(), found.st_mode), 0);
  }
}

TEST_F(ConfigTest, KeysKnowWhereTheyWereWritten) {
  write("berth.toml", "root = \"/r\"\n[containers]\ndefault_sysctls = [\"a=1\",\n  \"b=2\"]\n");
  write("d/more.toml", "log.file = \"/log\"\n");
  const auto config = load(paths());
  ASSERT_TRUE(config.ok()) << config.status();
  const auto told = [&](std::string_view key) {
    return std::string(atKey(*config, key, absl::NotFoundError("no")).message());
  };
  const std::string file = directory_ / "berth.toml:";
  EXPECT_EQ(told("root"), file + "1:8: root: no");
  EXPECT_EQ(told("containers.default_sysctls"), file + "3:19: containers.default_sysctls: no");
  EXPECT_EQ(told("containers.default_sysctls[1]"), file + "4:3: containers.default_sysctls[1]: no");
  EXPECT_EQ(told("log.file"), (directory_ / "d/more.toml:") + "1:12: log.file: no");
  EXPECT_EQ(told("state"), "built-in default: state: no");
  EXPECT_TRUE(atKey(*config, "root", absl::OkStatus()).ok());
  // A daemon that has read its configuration anew knows the new places.
  EXPECT_EQ(withLiveChanges(defaults(), *config).keys.ofOption("root"), file + "1:8");
}

TEST_F(ConfigTest, OptionsOfPluginsKnowWhereTheyWereWritten) {
  write(
      "berth.toml",
      "[sources.registry.options]\nretries = 3\n"
      "[sources.registry.options.registries.\"registry.example\"]\nmirrors = [\"a\",\n  \"b\"]\n");
  write("d/more.toml", "[sources.registry.options]\nretries = 4\nproxy = \"\"\n");
  const auto config = load(paths());
  ASSERT_TRUE(config.ok()) << config.status();
  const Place& place = config->sources.at("registry").place;
  const std::string file = directory_ / "berth.toml:";
  const std::string more = directory_ / "d/more.toml:";
  EXPECT_EQ(place.ofOption("retries"), more + "2:1");
  EXPECT_EQ(place.ofOption("proxy"), more + "3:1");
  EXPECT_EQ(place.ofOption("registries.\"registry.example\".mirrors[1]"), file + "5:3");
  EXPECT_EQ(place.ofOption("registries.\"registry.example\".mirrors"), file + "4:1");
  EXPECT_EQ(place.ofOption("user_agent"), place.text);
  EXPECT_EQ(config->networks.at("cni").place.ofOption("conf_dir"), "built-in default");
}

}  // namespace
}  // namespace berth::config
