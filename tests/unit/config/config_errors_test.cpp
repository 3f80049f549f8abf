// Every wrong thing is told with its place, its key, and what would be right.
#include "berth/support/status.hpp"
#include "fixture.hpp"

namespace berth::config {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ConfigTest, UnknownKeys) {
  EXPECT_EQ(errorOf("[images]\n\n  snapshoter = \"x\"\n"),
            "3:3: unknown key images.snapshoter; did you mean images.snapshotter?");
  EXPECT_EQ(errorOf("[imagse]\n"), "1:2: unknown key imagse; did you mean images?");
  EXPECT_EQ(errorOf("[runtimes.kata]\nplugin = \"x\"\nsnapshooter = \"overlay\"\n"),
            "3:1: unknown key runtimes.kata.snapshooter; did you mean runtimes.kata.snapshotter?");
  EXPECT_EQ(errorOf("images.sorces = []\n"),
            "1:8: unknown key images.sorces; did you mean images.sources?");
  EXPECT_EQ(errorOf("level = \"info\"\n"), "1:1: unknown key level; did you mean log.level?");
  EXPECT_EQ(errorOf("[cgroup]\nabcdefgh = 1\n"),
            "2:1: unknown key cgroup.abcdefgh; known here: driver");
  EXPECT_THAT(errorOf("\"a b\" = 1\n"), StartsWith("1:1: unknown key \"a b\"; known here: root, "));
  EXPECT_THAT(errorOf(std::string(5000, 'x') + " = 1\n"), HasSubstr("known here: root, "));
}

TEST_F(ConfigTest, WrongTypes) {
  EXPECT_EQ(errorOf("root = 7\n"), "1:8: root: expected an absolute path, found the integer 7");
  EXPECT_EQ(errorOf("[grpc]\nmax_message_bytes = \"16MiB\"\n"),
            "2:21: grpc.max_message_bytes: expected an integer from 65536 to 2147483647, found the "
            "string \"16MiB\"");
  EXPECT_EQ(errorOf("grpc = 1\n"), "1:8: grpc: expected a table, found the integer 1");
  EXPECT_EQ(errorOf("runtimes = []\n"), "1:12: runtimes: expected a table, found an array");
  EXPECT_EQ(errorOf("[runtimes]\nkata = true\n"),
            "2:8: runtimes.kata: expected a table, found true");
  EXPECT_EQ(errorOf("plugin_dirs = \"/x\"\n"),
            "1:15: plugin_dirs: expected an array, each element an absolute path, found the string "
            "\"/x\"");
  EXPECT_EQ(errorOf("plugin_dirs = [\"/x\",\n  3]\n"),
            "2:3: plugin_dirs[1]: expected an absolute path, found the integer 3");
  EXPECT_EQ(errorOf("[runtimes.runc]\noptions = 1.5\n"),
            "2:11: runtimes.runc.options: expected a table, found the number 1.5");
  EXPECT_EQ(errorOf("[root]\n"), "1:1: root: expected an absolute path, found a table");
  EXPECT_EQ(errorOf("[[grpc]]\n"), "1:1: grpc: expected a table, found an array");
  EXPECT_EQ(errorOf("root = 1979-05-27\n"),
            "1:8: root: expected an absolute path, found a date or time");
}

TEST_F(ConfigTest, ValuesOutOfBounds) {
  EXPECT_THAT(errorOf("root = \"relative\"\n"), HasSubstr("found the string \"relative\""));
  EXPECT_THAT(errorOf("root = \"/a\\u0000b\"\n"), HasSubstr("expected an absolute path"));
  EXPECT_THAT(errorOf("log.level = \"loud\"\n"),
              HasSubstr("log.level: expected one of \"trace\", \"debug\", \"info\", \"warn\", "
                        "\"error\", found the string \"loud\""));
  for (const char* mode : {"\"0999\"", "\"07777\"", "\"\"", "\"rw\"", "432", "\"1777\""})
    EXPECT_THAT(errorOf("grpc.socket_mode = " + std::string(mode) + "\n"),
                HasSubstr("grpc.socket_mode: expected a string of octal digits"));
  EXPECT_THAT(errorOf("grpc.socket = \"/" + std::string(107, 's') + "\"\n"),
              HasSubstr("grpc.socket: expected an absolute path of at most 107 bytes"));
  EXPECT_THAT(errorOf("images.max_concurrent_downloads = 0\n"), HasSubstr("from 1 to 256"));
  EXPECT_THAT(errorOf("images.platform = \"linux\"\n"), HasSubstr("os/architecture"));
  EXPECT_THAT(errorOf("images.platform = \"a/b/c/d\"\n"), HasSubstr("os/architecture"));
  EXPECT_THAT(errorOf("runtimes.runc.platform = \"wasm\"\n"),
              HasSubstr("runtimes.runc.platform: expected an empty string or os/architecture"));
  EXPECT_THAT(errorOf("images.sources = []\n"), HasSubstr("images.sources: expected from 1 to"));
  EXPECT_THAT(errorOf("containers.default_capabilities = [\"CAP_FLY\"]\n"),
              HasSubstr("containers.default_capabilities[0]: expected the name of a capability"));
  EXPECT_THAT(
      errorOf("containers.default_env = [\"A=1\", \"B\"]\n"),
      HasSubstr("containers.default_env[1]: expected an entry NAME=value, found the string \"B\""));
  EXPECT_THAT(errorOf("containers.default_sysctls = [\"kernel.sem\"]\n"),
              HasSubstr("containers.default_sysctls[0]: expected a kernel parameter such as "
                        "\"net.ipv4.ip_forward=1\", found the string \"kernel.sem\""));
  EXPECT_THAT(errorOf("containers.default_env = [\"\"]\n"),
              HasSubstr("expected an entry NAME=value"));
  EXPECT_THAT(errorOf("containers.default_ulimits = [\"nofile=2:1\"]\n"),
              HasSubstr("containers.default_ulimits[0]: expected a limit"));
  EXPECT_THAT(errorOf("containers.seccomp_profile = \"none\"\n"),
              HasSubstr("expected an empty string or an absolute path"));
  EXPECT_THAT(errorOf("[runtimes.Kata]\nplugin = \"x\"\n"),
              AllOf(StartsWith("1:11: runtimes.Kata: the runtime's name must be"),
                    HasSubstr("lower-case")));
  EXPECT_THAT(errorOf("[runtimes.kata]\nplugin = \"../evil\"\n"),
              HasSubstr("runtimes.kata.plugin: expected the name of a plugin"));
}

TEST_F(ConfigTest, MissingPlugin) {
  EXPECT_EQ(errorOf("[networks.mine]\n"),
            "1:11: networks.mine: the key networks.mine.plugin is missing: the name of a plugin: "
            "letters, digits, \".\", \"_\" and \"-\"");
}

TEST_F(ConfigTest, ReferencesMustExist) {
  EXPECT_EQ(errorOf("default_runtime = \"kata\"\n"),
            "1:19: default_runtime: there is no [runtimes.kata]; known are: runc");
  EXPECT_EQ(errorOf("default_runtime = \"rnuc\"\n"),
            "1:19: default_runtime: there is no [runtimes.rnuc]; did you mean \"runc\"?");
  EXPECT_EQ(errorOf("network = \"bridge\"\n"),
            "1:11: network: there is no [networks.bridge]; known are: cni");
  EXPECT_EQ(errorOf("[images]\nsnapshotter = \"btrfs\"\n"),
            "2:15: images.snapshotter: there is no [snapshotters.btrfs]; known are: overlay");
  EXPECT_EQ(errorOf("[images]\nsources = [\"registry\",\n \"p2p-mesh\"]\n"),
            "3:2: images.sources[1]: there is no [sources.p2p-mesh]; known are: layout, registry");
  EXPECT_EQ(errorOf("[images]\nsources = [\"registry\", \"registry\"]\n"),
            "2:24: images.sources[1]: \"registry\" is named twice");
  EXPECT_EQ(errorOf("[runtimes.runc]\nsnapshotter = \"devmapper\"\n"),
            "2:15: runtimes.runc.snapshotter: there is no [snapshotters.devmapper]; known are: "
            "overlay");
  EXPECT_THAT(errorOf("state = \"/var/lib/berth\"\n"), StartsWith("1:9: root and state are both"));
}

TEST_F(ConfigTest, StreamingIsOnlyOpenToOthersOverTls) {
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1"}) {
    const auto config = loadText(support::strCat("[streaming]\naddress = \"", address, "\"\n"));
    EXPECT_TRUE(config.ok()) << config.status();
  }
  for (const char* address : {"0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "::ffff:127.0.0.1"}) {
    const std::string plain = support::strCat("[streaming]\naddress = \"", address, "\"\n");
    EXPECT_EQ(errorOf(plain),
              support::strCat("2:11: streaming.address: \"", address,
                              "\" is reached from other hosts: set streaming.tls_cert and "
                              "streaming.tls_key, or give a loopback address"));
    EXPECT_TRUE(loadText(plain + "tls_cert = \"/c\"\ntls_key = \"/k\"\n").ok());
  }
  EXPECT_EQ(errorOf("[streaming]\naddress = \"localhost\"\n"),
            "2:11: streaming.address: expected an IPv4 or IPv6 address, such as \"127.0.0.1\", "
            "found the string \"localhost\"");
}

TEST_F(ConfigTest, TlsOfStreamingIsComplete) {
  EXPECT_EQ(errorOf("[streaming]\ntls_cert = \"/c\"\n"),
            "2:12: streaming.tls_cert: its key, streaming.tls_key, is missing");
  EXPECT_EQ(errorOf("[streaming]\ntls_key = \"/k\"\n"),
            "2:11: streaming.tls_key: there is no streaming.tls_cert that it is the key of");
  EXPECT_EQ(errorOf("[streaming]\ntls_client_ca = \"/a\"\n"),
            "2:17: streaming.tls_client_ca: clients can only be asked for certificates over TLS: "
            "set streaming.tls_cert and streaming.tls_key");
}

TEST_F(ConfigTest, InvalidToml) {
  EXPECT_THAT(errorOf("root = \"/a\"\nroot = \"/b\"\n"), StartsWith("2:"));
  EXPECT_THAT(errorOf("[grpc]\nsocket = \"/a\n"), StartsWith("2:13: not valid TOML: "));
  EXPECT_THAT(errorOf("[grpc\n"), StartsWith("1:6: not valid TOML: "));
  EXPECT_THAT(errorOf("{\"json\": true}\n"), StartsWith("1:1: not valid TOML: "));
  EXPECT_THAT(errorOf("root = \"/\xff\xfe\"\n"), StartsWith("1:"));
  EXPECT_THAT(errorOf(std::string_view("\xff\xfe[\0g\0]\0", 8)), HasSubstr("not valid TOML"));
  EXPECT_THAT(errorOf(std::string_view("root\0 = 1\n", 10)), StartsWith("1:"));
}

TEST_F(ConfigTest, NestingIsBounded) {
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  EXPECT_EQ(errorOf("root = \"/x\"\n" + dotted + " = 1\n"), "2:1: a key of more than 32 parts");
  EXPECT_EQ(errorOf("x = \"\"\"\n\"\\\n\"\"\"\n[" + dotted + "]\n"),
            "4:1: a key of more than 32 parts");
  EXPECT_THAT(errorOf("x = " + std::string(100'000, '[')), HasSubstr("not valid TOML"));
  EXPECT_THAT(
      errorOf("[runtimes.runc.options]\nx = " + std::string(80, '[') + std::string(80, ']') + "\n"),
      HasSubstr("nested deeper than 64 levels"));
  // Dots elsewhere are no parts of keys.
  const std::string dots(100, '.');
  EXPECT_TRUE(loadText("# " + dots + "\n[runtimes.runc.options]\na = \"" + dots + "\"\nb = '" +
                       dots + "'\nc = \"\"\"" + dots + "\"\"\"\nd = [" +
                       [] {
                         std::string numbers;
                         for (int i = 0; i < 100; ++i) numbers += "1.5, ";
                         return numbers;
                       }() +
                       "]\n")
                  .ok());
}

TEST_F(ConfigTest, ManyProblemsAreCutShort) {
  std::string text = "[log]\n";
  for (int i = 0; i < 80; ++i) text += "key" + std::to_string(i) + " = 1\n";
  const std::string message = errorOf(text);
  EXPECT_THAT(message, AllOf(StartsWith("2:1: unknown key log.key0"), HasSubstr("\n51:1: "),
                             EndsWith("\nand 30 more")));
}

TEST_F(ConfigTest, DatesAndInfinitiesAreNotForPlugins) {
  EXPECT_EQ(errorOf("[sources.registry.options]\nwhen = [1979-05-27]\nlimit = { max = inf }\n"),
            "2:9: sources.registry.options.when[0]: a date or time cannot be handed to a plugin; "
            "write it as a string\n"
            "3:17: sources.registry.options.limit.max: the number inf cannot be handed to a "
            "plugin; write it as a string");
}

}  // namespace
}  // namespace berth::config
