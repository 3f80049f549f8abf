#include "peers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/json.hpp"

namespace berth::bench {
namespace {

using ::testing::HasSubstr;

Options sample() {
  Options options;
  options.image = "images.test/busybox:1";
  options.sandboxImage = "images.test/pause:1";
  options.registries = {{"images.test", "http://127.0.0.1:4321"}};
  options.runc = "/usr/sbin/runc";
  return options;
}

TEST(CniConflist, givesEachEngineItsOwnBridgeAndAddresses) {
  const auto conflist = support::parseJson(cniConflist("bb0", "10.9", 2, "/d/ipam"), "conflist");
  ASSERT_TRUE(conflist.ok()) << conflist.status();
  const auto& plugins = conflist->at("plugins").as_array();
  ASSERT_EQ(plugins.size(), 2u);
  EXPECT_EQ(plugins[0].at("type").as_string(), "bridge");
  EXPECT_EQ(plugins[0].at("bridge").as_string(), "bb0");
  EXPECT_EQ(plugins[0].at("ipam").at("dataDir").as_string(), "/d/ipam");
  EXPECT_EQ(plugins[0].at("ipam").at("ranges").at(0).at(0).at("subnet").as_string(),
            "10.9.32.0/20");
  EXPECT_EQ(plugins[1].at("type").as_string(), "portmap");
}

TEST(ContainerdConfig, keepsEverythingInItsFolder) {
  const PeerLayout layout{"/w/c"};
  const std::string text = containerdConfig(layout, sample());
  EXPECT_THAT(text, HasSubstr("version = 2\n"));
  EXPECT_THAT(text, HasSubstr("root = \"/w/c/root\"\n"));
  EXPECT_THAT(text, HasSubstr("state = \"/w/c/state\"\n"));
  EXPECT_THAT(text, HasSubstr("address = \"/w/c/cri.sock\"\n"));
  EXPECT_THAT(text, HasSubstr("sandbox_image = \"images.test/pause:1\"\n"));
  EXPECT_THAT(text, HasSubstr("restrict_oom_score_adj = true\n"));
  EXPECT_THAT(text, HasSubstr("BinaryName = \"/usr/sbin/runc\"\n"));
  EXPECT_THAT(text, HasSubstr("Root = \"/w/c/state/runc\"\n"));
}

TEST(ContainerdHosts, allowsPullingOverTheMirror) {
  EXPECT_EQ(containerdHosts({"images.test", "http://127.0.0.1:4321"}),
            "server = \"http://127.0.0.1:4321\"\n\n[host.\"http://127.0.0.1:4321\"]\n"
            "capabilities = [\"pull\", \"resolve\"]\n");
}

TEST(BerthConfig, hasTheShimOnlyForItsHandler) {
  EXPECT_THAT(berthConfig({"/w/b"}, sample(), "runc"), ::testing::Not(HasSubstr("runtime-kata")));
  EXPECT_THAT(berthConfig({"/w/b"}, sample(), "shim"),
              HasSubstr("[runtimes.shim]\nplugin = \"runtime-kata\"\n[runtimes.shim.options]\n"
                        "shim = \"/usr/bin/containerd-shim-runc-v2\"\n"));
}

TEST(BerthConfig, namesFoldersRuntimeAndMirrors) {
  const std::string text = berthConfig({"/w/b"}, sample(), {});
  EXPECT_THAT(text, HasSubstr("root = \"/w/b/root\"\n"));
  EXPECT_THAT(text, HasSubstr("socket = \"/w/b/cri.sock\"\n"));
  EXPECT_THAT(text, HasSubstr("conf_dir = \"/w/b/net.d\"\n"));
  EXPECT_THAT(text, HasSubstr("[runtimes.runc.options]\npath = \"/usr/sbin/runc\"\n"));
  EXPECT_THAT(text, HasSubstr("[sources.registry.options.registries.\"images.test\"]\n"
                              "mirrors = [\"http://127.0.0.1:4321\"]\n"));
}

TEST(BerthConfig, namesAPluginFolderOnlyWhenGiven) {
  Options options = sample();
  EXPECT_THAT(berthConfig({"/w/b"}, options, {}), ::testing::Not(HasSubstr("plugin_dirs")));
  options.berthPlugins = "/build/plugins";
  EXPECT_THAT(berthConfig({"/w/b"}, options, {}),
              HasSubstr("plugin_dirs = [\"/build/plugins\"]\n"));
}

TEST(BerthConfig, escapesWhatTomlWouldMisread) {
  Options options = sample();
  options.runc = "/odd \"path\\runc";
  EXPECT_THAT(berthConfig({"/w/b"}, options, {}), HasSubstr(R"(path = "/odd \"path\\runc")"));
}

}  // namespace
}  // namespace berth::bench
