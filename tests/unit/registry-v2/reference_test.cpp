#include "reference.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/reference.hpp"

namespace berth::registry {
namespace {

const std::string kHex(64, 'a');

TEST(Reference, TagAndDigest) {
  const auto reference =
      parseReference("Registry.Example:5000/team/app_x.y--z:1.0-Rc@sha256:" + kHex);
  ASSERT_TRUE(reference.ok()) << reference.status();
  EXPECT_EQ(reference->host, "registry.example:5000");
  EXPECT_EQ(reference->path, "team/app_x.y--z");
  EXPECT_EQ(reference->tag, "1.0-Rc");
  EXPECT_EQ(reference->digest, "sha256:" + kHex);
  EXPECT_EQ(reference->target(), "sha256:" + kHex);
}

TEST(Reference, Hosts) {
  for (const char* host : {"localhost", "localhost:1", "127.0.0.1:65535", "[::1]", "[fe80::1]:5000",
                           "a.b-c.example"}) {
    const auto reference = parseReference(std::string(host) + "/app:1");
    ASSERT_TRUE(reference.ok()) << reference.status();
    EXPECT_EQ(reference->host, host);
    EXPECT_EQ(reference->path, "app");
  }
}

TEST(Reference, DockerHub) {
  EXPECT_EQ(parseReference("docker.io/busybox:1")->path, "library/busybox");
  EXPECT_EQ(parseReference("docker.io/team/app:1")->path, "team/app");
  EXPECT_EQ(parseReference("index.docker.io/team/app:1")->host, "docker.io");
  EXPECT_EQ(parseReference("registry.example/busybox:1")->path, "busybox");
}

// A policy judges the daemon's reading of a name, and the plugin pulls by its own.
TEST(Reference, MeansWhatTheDaemonTakesItFor) {
  for (const std::string name :
       {"docker.io/busybox:1", "DOCKER.IO/nginx:1", "Index.docker.io/evil/x:1",
        "index.docker.io/x:1", "Registry.Example/a/b:Tag", "registry.example:443/a:1",
        "[2001:DB8::A]:5000/a:1", "LocalHost:5000/a:1"}) {
    const auto own = parseReference(name);
    const auto daemons = images::parseReference(name);
    ASSERT_TRUE(own.ok()) << own.status();
    ASSERT_TRUE(daemons.ok()) << daemons.status();
    EXPECT_EQ(own->host, daemons->registry) << name;
    EXPECT_EQ(own->path, daemons->repository) << name;
    EXPECT_EQ(own->tag, daemons->tag) << name;
    const auto asked = parseReference(daemons->full());
    ASSERT_TRUE(asked.ok()) << asked.status();
    EXPECT_EQ(asked->host, daemons->registry) << name;
    EXPECT_EQ(asked->path, daemons->repository) << name;
  }
}

TEST(Reference, Sha512) {
  const std::string digest = "sha512:" + std::string(128, '0');
  EXPECT_EQ(parseReference("a.b/c@" + digest)->target(), digest);
}

TEST(Reference, Refused) {
  const std::string names[] = {"",
                               "app:1",
                               "team/app:1",
                               "a.b/app",
                               "a.b/:1",
                               "a.b/App:1",
                               "a.b/app:",
                               "a.b/app:-x",
                               "a.b/app:.x",
                               "a.b/app:1:2",
                               "a.b/app:" + std::string(129, 'x'),
                               "a.b/" + std::string(256, 'x') + ":1",
                               "a.b//app:1",
                               "a.b/app/:1",
                               "a.b/a..b:1",
                               "a.b/a___b:1",
                               "a.b/a-_b:1",
                               "a.b/-a:1",
                               "a.b/../app:1",
                               "a.b/app:1?x=y",
                               "a.b/app%2f:1",
                               "a.b/app@sha256:" + kHex + "0",
                               "a.b/app@sha256:" + std::string(64, 'A'),
                               "a.b/app@md5:" + std::string(32, 'a'),
                               "a.b/app@" + kHex,
                               "a.b/app@sha256:" + kHex + "@sha256:" + kHex,
                               "a.b:0/app:1",
                               "a.b:0443/app:1",
                               "a.b:65536/app:1",
                               "a.b:x/app:1",
                               ":5000/app:1",
                               "[::1/app:1",
                               "[x]/app:1",
                               "[::1]x/app:1",
                               "-a.b/app:1",
                               "a..b/app:1",
                               "user@a.b/app:1",
                               "http://a.b/app:1",
                               std::string("a.b/app:1\0x", 11),
                               "a.b/app:1\n"};
  for (const std::string& name : names) {
    const auto reference = parseReference(name);
    EXPECT_EQ(reference.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(reference.status().message().find('\n'), absl::string_view::npos);
  }
}

TEST(Reference, NamesRegistry) {
  EXPECT_TRUE(namesRegistry("a.b/c"));
  EXPECT_TRUE(namesRegistry("a:1/c"));
  EXPECT_TRUE(namesRegistry("localhost/c"));
  EXPECT_FALSE(namesRegistry("library/c"));
  EXPECT_FALSE(namesRegistry("c.d"));
  EXPECT_FALSE(namesRegistry("file:///x"));
  EXPECT_FALSE(namesRegistry("file:///a.b/c:1"));
  EXPECT_FALSE(namesRegistry(""));
}

TEST(Reference, Loopback) {
  for (const char* host : {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.255.1.2:80", "[::1]:5"})
    EXPECT_TRUE(isLoopback(host)) << host;
  for (const char* host :
       {"localhost.example", "128.0.0.1", "127.0.0.1.example:80", "[::2]:5", "0.0.0.0", "127.1x"})
    EXPECT_FALSE(isLoopback(host)) << host;
}

}  // namespace
}  // namespace berth::registry
