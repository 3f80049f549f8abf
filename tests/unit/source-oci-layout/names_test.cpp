#include "names.hpp"

#include <gtest/gtest.h>

namespace berth::layout {
namespace {

TEST(CompleteName, AsTheEcosystemDoes) {
  EXPECT_EQ(completeName("busybox:1"), "docker.io/library/busybox:1");
  EXPECT_EQ(completeName("team/app"), "docker.io/team/app:latest");
  EXPECT_EQ(completeName("docker.io/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(completeName("index.docker.io/busybox:1"), "docker.io/library/busybox:1");
  EXPECT_EQ(completeName("Index.docker.io/busybox:Tag"), "docker.io/library/busybox:Tag");
  EXPECT_EQ(completeName("DOCKER.IO/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(completeName("A.Example:5000/app"), "a.example:5000/app:latest");
  EXPECT_EQ(completeName("a.example:5000/app"), "a.example:5000/app:latest");
  EXPECT_EQ(completeName("localhost/app:1"), "localhost/app:1");
  EXPECT_EQ(completeName("a.example/app@sha256:12"), "a.example/app@sha256:12");
}

TEST(CompleteName, ABareTagStaysOne) {
  EXPECT_EQ(completeName("latest"), "latest");
  EXPECT_TRUE(isBareTag("1.0"));
  EXPECT_FALSE(isBareTag("app:1.0"));
  EXPECT_EQ(completeName(""), "");
}

TEST(DigestOfReference, IsWhatStandsBehindTheAt) {
  EXPECT_EQ(digestOfReference("a.example/app:1@sha256:12"), "sha256:12");
  EXPECT_EQ(digestOfReference("a.example/app:1"), "");
}

}  // namespace
}  // namespace berth::layout
