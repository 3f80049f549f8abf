#include "signatures/scopes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keys.hpp"

namespace berth::signatures {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> docker(const std::string& name) {
  return scopesOf("docker", "", *images::parseReference(name));
}

TEST(Scopes, OfAnImageInARegistry) {
  EXPECT_THAT(docker("a.b.example:5000/one/two:1"),
              ElementsAre("a.b.example:5000/one/two:1", "a.b.example:5000/one/two",
                          "a.b.example:5000/one", "a.b.example:5000", "*.b.example", "*.example"));
  EXPECT_THAT(docker("busybox"),
              ElementsAre("docker.io/library/busybox:latest", "docker.io/library/busybox",
                          "docker.io/library", "docker.io", "*.io"));
  const std::string digest = testing::digestOf('a');
  EXPECT_THAT(docker("localhost/a:1@" + digest),
              ElementsAre("localhost/a@" + digest, "localhost/a", "localhost"));
}

TEST(Scopes, CapitalsMakeNoOtherRegistry) {
  EXPECT_THAT(docker("A.Example/one:Tag"),
              ElementsAre("a.example/one:Tag", "a.example/one", "a.example", "*.example"));
  EXPECT_EQ(comparableScope("docker", "A.Example/one:Tag"), "a.example/one:Tag");
  EXPECT_EQ(comparableScope("docker", "*.Example"), "*.example");
  EXPECT_EQ(comparableScope("oci", "/Images"), "/Images");
}

TEST(Scopes, TheDefaultPortMakesNoOtherRegistry) {
  EXPECT_THAT(docker("a.example:443/one:1"),
              ElementsAre("a.example:443/one:1", "a.example:443/one", "a.example:443",
                          "a.example/one:1", "a.example/one", "a.example", "*.example"));
  EXPECT_THAT(
      docker("a.example:4430/one:1"),
      ElementsAre("a.example:4430/one:1", "a.example:4430/one", "a.example:4430", "*.example"));
}

TEST(Scopes, OfFiles) {
  const images::Reference name = *images::parseReference("a.example/b:1");
  EXPECT_THAT(scopesOf("oci", "/var/lib/images", name),
              ElementsAre("/var/lib/images", "/var/lib", "/var"));
  EXPECT_THAT(scopesOf("oci-archive", "/app.tar", name), ElementsAre("/app.tar"));
  EXPECT_THAT(scopesOf("dir", "", name), IsEmpty());
  EXPECT_THAT(scopesOf("docker-archive", "/app.tar", name), IsEmpty());
  EXPECT_THAT(scopesOf("something", "/app.tar", name), IsEmpty());
}

TEST(Scopes, ThatNoImageIsInAreRefused) {
  for (const char* scope : {"*", "*.", "example*.com", "a.*.example", "*.example:5000",
                            "*.example/app", "*.*.example", "a.example/", "/a", "a example"})
    EXPECT_FALSE(checkScope("docker", scope).ok()) << scope;
  for (const char* scope : {"", "*.example", "a.example:5000", "a.example/b/c", "a.example/b:1"})
    EXPECT_TRUE(checkScope("docker", scope).ok()) << scope;
  for (const char* transport : {"oci", "oci-archive", "dir"}) {
    for (const char* scope : {"/", "a", "/a/", "/a//b", "/a/../b", "/a/./b"})
      EXPECT_FALSE(checkScope(transport, scope).ok()) << scope;
    EXPECT_TRUE(checkScope(transport, "/a/b").ok());
    EXPECT_TRUE(checkScope(transport, "").ok());
  }
  EXPECT_TRUE(checkScope("docker-archive", "").ok());
  EXPECT_THAT(std::string(checkScope("docker-archive", "/a.tar").message()), HasSubstr("alone"));
  EXPECT_TRUE(checkScope("atomic", "what*ever").ok());
}

}  // namespace
}  // namespace berth::signatures
