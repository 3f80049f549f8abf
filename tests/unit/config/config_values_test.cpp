// What the values become, and that what is dumped reads back as the same.
#include <regex>
#include <sys/resource.h>

#include <boost/json/serialize.hpp>

#include "fixture.hpp"

namespace berth::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kFull = R"(
root = "/data/berth"
state = "/run/other"
plugin_dirs = ["/opt/plugins", "/usr/lib/x \"quoted\" \\ back\ttab \u0001 ü"]
default_runtime = "kata"
network = "mine"
[grpc]
socket = "/run/x.sock"
socket_mode = "600"
socket_group = "berth"
max_message_bytes = 1048576
[log]
level = "debug"
format = "json"
file = "/var/log/berth.log"
[cgroup]
driver = "systemd"
[images]
sources = ["layout", "registry"]
snapshotter = "zfs"
pinned = ["registry.example/base/*"]
platform = "linux/arm/v7"
max_concurrent_downloads = 3
max_concurrent_unpacks = 2
pull_deadline_seconds = 900
max_layer_bytes = 1073741824
max_manifest_bytes = 1048576
[containers]
seccomp_profile = "/etc/berth/seccomp.json"
seccomp_when_unset = "runtime/default"
apparmor_profile = "mine"
device_ownership = "security-context"
cdi_dirs = ["/cdi"]
hooks_dirs = ["/hooks", "/etc/hooks"]
pids_limit = 4096
default_capabilities = ["CHOWN", "cap_kill"]
default_ulimits = ["nofile=1024:4096", "core=unlimited"]
default_env = ["A=1", "EMPTY="]
default_sysctls = ["net.ipv4.ping_group_range=0 9"]
exec_sync_output_bytes = 4096
[runtimes.kata]
plugin = "runtime-kata"
platform = "linux/arm64"
annotations = ["io.katacontainers."]
privileged_devices = "none"
isolation = "process"
isolation_capabilities = ["CAP_SYS_ADMIN", "net_admin"]
[runtimes.kata.options]
shim = "shim"
count = -7
ratio = 2.0
tiny = 1e-300
flag = true
list = [1, "two", [3.5, false], { four = 4 }]
"odd key.with dot" = 1
[runtimes.kata.options.deep.er]
x = "y"
[[runtimes.kata.options.many]]
a = 1
[[runtimes.kata.options.many]]
a = 2
[runtimes.runc]
snapshotter = "overlay"
[runtimes.runc.options]
path = "/usr/sbin/runc"
[snapshotters.zfs]
plugin = "zfs"
[sources.layout]
plugin = "source-oci-layout"
options = { folders = ["/images"], empty = {} }
[networks.mine]
plugin = "mine"
)";

TEST_F(ConfigTest, EveryKeyIsRead) {
  const auto config = loadText(kFull);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->root, "/data/berth");
  EXPECT_EQ(config->pluginDirs[1], "/usr/lib/x \"quoted\" \\ back\ttab \x01 ü");
  EXPECT_EQ(config->grpc.socketMode, 0600u);
  EXPECT_EQ(config->grpc.socketGroup, "berth");
  EXPECT_EQ(config->log.file, "/var/log/berth.log");
  EXPECT_EQ(config->cgroup.driver, "systemd");
  EXPECT_THAT(config->images.sources, ElementsAre("layout", "registry"));
  EXPECT_THAT(config->images.pinned, ElementsAre("registry.example/base/*"));
  EXPECT_EQ(config->images.platform, "linux/arm/v7");
  EXPECT_EQ(config->images.pullDeadlineSeconds, 900);
  EXPECT_THAT(config->containers.defaultSysctls, ElementsAre("net.ipv4.ping_group_range=0 9"));
  EXPECT_EQ(config->containers.pidsLimit, 4096);
  EXPECT_EQ(config->containers.seccompWhenUnset, "runtime/default");
  EXPECT_EQ(config->containers.deviceOwnership, "security-context");
  EXPECT_THAT(config->containers.cdiDirs, ElementsAre("/cdi"));
  EXPECT_THAT(config->containers.hooksDirs, ElementsAre("/hooks", "/etc/hooks"));
  EXPECT_EQ(config->runtimes.at("kata").platform, "linux/arm64");
  EXPECT_EQ(config->runtimes.at("runc").platform, "");
  EXPECT_EQ(config->runtimes.at("kata").privilegedDevices, "none");
  EXPECT_EQ(config->runtimes.at("runc").privilegedDevices, "all");
  EXPECT_EQ(config->runtimes.at("kata").isolation, "process");
  EXPECT_THAT(config->runtimes.at("kata").isolationCapabilities,
              ElementsAre("CAP_SYS_ADMIN", "net_admin"));
  EXPECT_EQ(config->networks.at("mine").isolation, "none");
  EXPECT_EQ(config->runtimes.size(), 2u);
  EXPECT_EQ(boost::json::serialize(config->sources.at("layout").options.at("folders")),
            R"(["/images"])");
}

TEST_F(ConfigTest, OptionsBecomeJson) {
  const auto config = loadText(kFull);
  ASSERT_TRUE(config.ok()) << config.status();
  const boost::json::object& options = config->runtimes.at("kata").options;
  EXPECT_EQ(options.at("shim"), "shim");
  EXPECT_EQ(options.at("count").as_int64(), -7);
  EXPECT_EQ(options.at("ratio").as_double(), 2.0);
  EXPECT_EQ(options.at("flag").as_bool(), true);
  EXPECT_EQ(options.at("odd key.with dot").as_int64(), 1);
  EXPECT_EQ(boost::json::serialize(options.at("deep")), R"({"er":{"x":"y"}})");
  EXPECT_EQ(boost::json::serialize(options.at("many")), R"([{"a":1},{"a":2}])");
  EXPECT_EQ(options.at("list").as_array()[3].at("four").as_int64(), 4);
}

TEST_F(ConfigTest, DumpReadsBackAsTheSame) {
  for (const std::string_view text : {std::string_view(), kFull}) {
    const auto config = loadText(text);
    ASSERT_TRUE(config.ok()) << config.status();
    const std::string dumped = dump(*config);
    const auto again = loadText(dumped);
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << dumped;
    EXPECT_EQ(*again, *config) << dumped;
    EXPECT_EQ(dump(*again), dumped);
  }
}

TEST_F(ConfigTest, DumpShowsWhatHolds) {
  const std::string dumped = dump(*loadText("[runtimes.kata]\nplugin = \"runtime-kata\"\n"));
  EXPECT_THAT(dumped, AllOf(HasSubstr("\nsocket_mode = \"0660\"\n"),
                            HasSubstr("\n[runtimes.runc]\nplugin = \"runtime-runc\"\n"
                                      "snapshotter = \"overlay\"\n"),
                            HasSubstr("\n[runtimes.kata]\nplugin = \"runtime-kata\"\n")));
}

TEST_F(ConfigTest, BuiltInInstancesRemainAndMayBeChanged) {
  const auto config = loadText(
      "[runtimes.kata]\nplugin = \"runtime-kata\"\n[runtimes.runc.options]\npath = \"/runc\"\n"
      "[snapshotters.overlay]\nplugin = \"other\"\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->runtimes.at("runc").plugin, "runtime-runc");
  EXPECT_EQ(config->runtimes.at("runc").options.at("path"), "/runc");
  EXPECT_EQ(config->runtimes.at("kata").snapshotter, "overlay");
  EXPECT_EQ(config->snapshotters.at("overlay").plugin, "other");
  EXPECT_EQ(config->networks.at("cni").place.text, "built-in default");
}

TEST_F(ConfigTest, DefaultFileIsTheDefaults) {
  const std::string declaration = R"([{"key": "path", "type": "string", "default": "/usr/sbin/runc",
    "help": "The OCI runtime."}, {"key": "a b", "type": "table", "default": {"c": [1, true]},
    "help": "A table."}, {"key": "needed", "type": "integer", "help": "A number."}])";
  const std::string file = defaultFile({{"runtime-runc", declaration}, {"other", declaration}});
  const Config standard = *load(paths());
  const auto asIs = loadText(file);
  ASSERT_TRUE(asIs.ok()) << asIs.status() << "\n" << file;
  EXPECT_EQ(*asIs, standard);
  // With the "#" removed each value is still the default: what the comments say is true.
  EXPECT_THAT(file, HasSubstr("\n[runtimes.runc.options]\n\n# The OCI runtime. Takes a string.\n"
                              "#path = \"/usr/sbin/runc\"\n\n# A table. Takes a table.\n"
                              "#\"a b\" = { c = [1, true] }\n\n"
                              "# A number. Takes an integer and is required.\n#needed =\n"));
  EXPECT_THAT(file, ::testing::EndsWith("\n[networks.cni.options]\n"));
  const std::string active = std::regex_replace(file, std::regex("(^|\n)#(?=[a-z_]+ = )"), "$1");
  EXPECT_NE(active, file);
  EXPECT_THAT(active, HasSubstr("\nsocket_mode = \"0660\"\n"));
  Config expected = standard;
  expected.runtimes["runc"].options["path"] = "/usr/sbin/runc";
  const auto loaded = loadText(std::regex_replace(active, std::regex("#\"a b\".*|needed =\n"), ""));
  ASSERT_TRUE(loaded.ok()) << loaded.status() << "\n" << active;
  EXPECT_EQ(*loaded, expected);
  for (size_t begin = 0; begin < file.size();) {
    const size_t end = file.find('\n', begin);
    if (file.compare(begin, 2, "# ") == 0) {
      EXPECT_LE(end - begin, 98u) << file.substr(begin, end - begin);
    }
    begin = end + 1;
  }
}

TEST(UlimitTest, Parses) {
  const auto limit = parseUlimit("nofile=1024:4096");
  ASSERT_TRUE(limit.ok());
  EXPECT_EQ(limit->type, "RLIMIT_NOFILE");
  EXPECT_EQ(limit->soft, 1024u);
  EXPECT_EQ(limit->hard, 4096u);
  EXPECT_EQ(parseUlimit("core=unlimited")->soft, RLIM_INFINITY);
  EXPECT_EQ(parseUlimit("stack=0:unlimited")->hard, RLIM_INFINITY);
  for (const char* wrong :
       {"", "nofile", "nofile=", "nofile=1:", "nofile=:1", "nofile=-1", "nofile=1:2:3", "nofile=1k",
        "NOFILE=1", "files=1", "nofile=2:1", "nofile=unlimited:1", "nofile=99999999999999999999"})
    EXPECT_EQ(parseUlimit(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
}

}  // namespace
}  // namespace berth::config
