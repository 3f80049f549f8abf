// Configurations and binaries that come, change and go while the plugin runs.
#include <filesystem>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "network_fixture.hpp"

namespace berth::cni_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using ConfigurationTest = NetworkTest;

TEST_F(ConfigurationTest, IsNotReadyWithoutANetwork) {
  const Outcome status = start().status();
  EXPECT_EQ(status.code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(status.message, HasSubstr(path("net.d")));
  EXPECT_EQ(plugin().attach(newPod("pod-a")).code, BERTH_FAILED_PRECONDITION);
}

TEST_F(ConfigurationTest, NoticesAConfigurationThatComesAndGoes) {
  start();
  unsigned seen = plugin().changes();
  write("net.d/10-test.conflist", bridgeNetwork());
  ASSERT_TRUE(plugin().awaitChange(seen));
  const Outcome status = plugin().status();
  EXPECT_TRUE(status.ok()) << status.message;
  seen = plugin().changes();
  std::filesystem::remove(path("net.d/10-test.conflist"));
  ASSERT_TRUE(plugin().awaitChange(seen));
  EXPECT_EQ(plugin().status().code, BERTH_FAILED_PRECONDITION);
}

TEST_F(ConfigurationTest, NoticesADirectoryThatDidNotExist) {
  start({{"conf_dir", path("etc/cni/net.d")}});
  EXPECT_EQ(plugin().status().code, BERTH_FAILED_PRECONDITION);
  std::filesystem::create_directories(path("etc/cni/net.d"));
  const unsigned seen = plugin().changes();
  write("etc/cni/net.d/10-test.conflist", bridgeNetwork());
  ASSERT_TRUE(plugin().awaitChange(seen));
  // Whichever of the changes the event was about, the answer is right by now.
  EXPECT_TRUE(plugin().status().ok());
}

TEST_F(ConfigurationTest, NoticesThatABinaryIsInstalled) {
  write("net.d/10-test.conf", R"({"cniVersion": "1.0.0", "name": "own", "type": "own-plugin"})");
  start({{"bin_dirs", {path("later/bin")}}});
  const Outcome status = plugin().status();
  EXPECT_EQ(status.code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(status.message, HasSubstr("own-plugin"));
  std::filesystem::create_directories(path("later/bin"));
  const unsigned seen = plugin().changes();
  write("later/bin/own-plugin", "#!/bin/sh\n", 0755);
  ASSERT_TRUE(plugin().awaitChange(seen));
  EXPECT_TRUE(plugin().status().ok());
}

TEST_F(ConfigurationTest, ReportsInvalidFilesAndUsesTheNextValidOne) {
  write("net.d/05-broken.conflist", "{\"name\": ");
  write("net.d/06-nameless.conf", R"({"type": "bridge"})");
  start();
  Outcome status = plugin().status();
  EXPECT_EQ(status.code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(status.message, AllOf(HasSubstr("05-broken.conflist"), HasSubstr("06-nameless.conf"),
                                    HasSubstr("name must be given")));
  write("net.d/07-good.conflist", bridgeNetwork());
  status = plugin().status();
  EXPECT_TRUE(status.ok()) << status.message;
}

TEST_F(ConfigurationTest, PicksTheNamedNetwork) {
  write("net.d/05-first.conflist", bridgeNetwork("first"));
  write("net.d/06-second.conflist", bridgeNetwork("second"));
  const Pod pod = newPod("pod-a");
  const Outcome attached = start({{"network_name", "second"}}).attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_TRUE(support::pathExists(path("ipam/second")));
  EXPECT_FALSE(support::pathExists(path("ipam/first")));
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
}

// Debian's plugins speak 1.0.0 at most, so that is what a network which offers more gets.
TEST_F(ConfigurationTest, SpeaksAVersionThatThePluginsKnow) {
  std::string text = bridgeNetwork("test-net", "0.4.0");
  text.insert(1, R"("cniVersions": ["1.0.0", "1.1.0", "0.4.0"], )");
  write("net.d/10-test.conflist", text);
  const Pod pod = newPod("pod-a");
  const Outcome attached = start().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_THAT(attached.result, HasSubstr(R"("cniVersion":"1.0.0")"));
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
}

TEST_F(ConfigurationTest, LoadsPluginsFromTheNetworksFolder) {
  write("net.d/10-test.conflist", R"({"cniVersion": "1.0.0", "name": "folder"})");
  std::filesystem::create_directories(path("net.d/folder"));
  start();
  EXPECT_EQ(plugin().status().code, BERTH_FAILED_PRECONDITION);
  const unsigned seen = plugin().changes();
  write("net.d/folder/10-missing.conf", R"({"type": "not-installed"})");
  ASSERT_TRUE(plugin().awaitChange(seen));
  EXPECT_THAT(plugin().status().message, HasSubstr("not-installed"));
}

TEST_F(ConfigurationTest, WritesANetworkFromTheTemplate) {
  write("template", R"({"cniVersion": "1.0.0", "name": "generated", "plugins": [
    {"type": "bridge", "bridge": "generated0", "ipam": {"type": "host-local",
     "ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}],
     "routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]}}]})");
  start({{"template", path("template")}});
  EXPECT_EQ(plugin().setPodCidr("10.9.0.0/33").code, BERTH_INVALID_ARGUMENT);
  EXPECT_FALSE(plugin().status().ok());
  const Outcome set = plugin().setPodCidr("10.9.0.0/24, fd00:9::/64");
  ASSERT_TRUE(set.ok()) << set.message;
  EXPECT_TRUE(plugin().status().ok());
  const std::string written = read("net.d/10-berth.conflist");
  EXPECT_THAT(written, HasSubstr(R"([{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}])"));
  EXPECT_THAT(written, HasSubstr(R"({"dst": "0.0.0.0/0"}, {"dst": "::/0"})"));
}

TEST_F(ConfigurationTest, LeavesTheNetworkOfAnAddOnAlone) {
  write("template", bridgeNetwork("generated"));
  write("net.d/20-add-on.conflist", bridgeNetwork("add-on"));
  EXPECT_TRUE(start({{"template", path("template")}}).setPodCidr("10.9.0.0/24").ok());
  EXPECT_FALSE(support::pathExists(path("net.d/10-berth.conflist")));
}

}  // namespace
}  // namespace berth::cni_test
