#include <cstdlib>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "features.hpp"

namespace berth::runc {
namespace {

using ::testing::HasSubstr;

TEST(ParseVersion, ReadsRunc) {
  RuntimeFeatures features;
  parseVersion("runc version 1.1.5+ds1\ncommit: 1.1.5\nspec: 1.0.2-dev\ngo: go1.19.8\n", features);
  EXPECT_EQ(features.name, "runc");
  EXPECT_EQ(features.version, "1.1.5+ds1");
  EXPECT_EQ(features.ociVersion, "1.0.2-dev");
  EXPECT_FALSE(features.recursiveReadOnly);
  EXPECT_TRUE(features.recursiveUserBinds);
}

TEST(ParseVersion, KnowsWhatCrunDoesNotSay) {
  RuntimeFeatures features;
  parseVersion("crun version 1.8.1\nspec: 1.0.0\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP\n",
               features);
  EXPECT_EQ(features.name, "crun");
  EXPECT_EQ(features.ociVersion, "1.0.0");
  EXPECT_TRUE(features.recursiveReadOnly);
  EXPECT_TRUE(features.userNamespaces);
  EXPECT_TRUE(features.apparmor);
  EXPECT_TRUE(features.selinux);
  EXPECT_FALSE(features.recursiveUserBinds);
  RuntimeFeatures older;
  parseVersion("crun version 1.3\n", older);
  EXPECT_FALSE(older.recursiveReadOnly);
  RuntimeFeatures newer;
  parseVersion("crun version 1.14.1\n", newer);
  EXPECT_TRUE(newer.recursiveUserBinds);
}

TEST(ParseVersion, KnowsWhetherThereAreCheckpoints) {
  RuntimeFeatures runc;
  parseVersion("runc version 1.1.5\n", runc);
  EXPECT_TRUE(runc.checkpoints);
  RuntimeFeatures crun;
  parseVersion("crun version 1.8.1\n+SYSTEMD +SECCOMP +CRIU +YAJL\n", crun);
  EXPECT_TRUE(crun.checkpoints);
  RuntimeFeatures without;
  parseVersion("crun version 1.8.1\n+SYSTEMD +SECCOMP +YAJL\n", without);
  EXPECT_FALSE(without.checkpoints);
}

TEST(ParseVersion, TakesTextOfAnyKind) {
  RuntimeFeatures features;
  parseVersion("", features);
  EXPECT_EQ(features.ociVersion, "1.0.0");
  parseVersion("version\nspec:\n:::\n", features);
  EXPECT_EQ(features.version, "");
}

TEST(ParseFeatures, ReadsTheDocument) {
  RuntimeFeatures features;
  const auto document = support::parseJsonObject(
      R"({"ociVersionMax": "1.2.0", "mountOptions": ["ro", "rro"],
          "linux": {"namespaces": ["user", "pid"], "seccomp": {"enabled": true},
                    "apparmor": {"enabled": true}, "selinux": {"enabled": false},
                    "mountExtensions": {"idmap": {"enabled": true}}}})",
      "test");
  ASSERT_TRUE(document.ok());
  parseFeatures(*document, features);
  EXPECT_EQ(features.ociVersion, "1.2.0");
  EXPECT_TRUE(features.recursiveReadOnly);
  EXPECT_TRUE(features.userNamespaces);
  EXPECT_TRUE(features.idmappedMounts);
  EXPECT_TRUE(features.seccomp);
  EXPECT_TRUE(features.apparmor);
  EXPECT_FALSE(features.selinux);
}

TEST(ParseFeatures, WhatIsMissingIsNotOffered) {
  RuntimeFeatures features;
  features.ociVersion = "1.0.0";
  features.recursiveReadOnly = true;
  parseFeatures(*support::parseJsonObject(R"({"linux": {"seccomp": 1}})", "test"), features);
  EXPECT_EQ(features.ociVersion, "1.0.0");
  EXPECT_FALSE(features.recursiveReadOnly);
  EXPECT_FALSE(features.userNamespaces);
  EXPECT_FALSE(features.idmappedMounts);
  EXPECT_FALSE(features.seccomp);
}

class ProbeRuntime : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-probe-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    root_ = pattern;
  }
  void TearDown() override { EXPECT_TRUE(support::removeTree(root_).ok()); }
  std::string program(const std::string& script) {
    std::string path = root_ + "/runtime";
    EXPECT_TRUE(
        support::replaceFile(path, "#!/bin/sh\n" + script, 0755, support::Durability::kVisible)
            .ok());
    return path;
  }
  std::string root_;
};

TEST_F(ProbeRuntime, FallsBackToTheVersion) {
  const auto features = probeRuntime(program(
      "if [ $1 = --version ]; then echo 'crun version 1.8.1'; echo 'spec: 1.0.0'; exit 0; fi\n"
      "echo unknown command >&2; exit 1\n"));
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(features->version, "1.8.1");
  const auto document =
      support::parseJsonObject(describeFeatures(*features, absl::OkStatus()), "test");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(support::stringMember(*document, "ociVersion"), "1.0.0");
  EXPECT_EQ(support::stringMember(*document, "binary"), root_ + "/runtime");
  EXPECT_EQ(support::stringMember(*document, "binaryVersion"), "1.8.1");
  EXPECT_FALSE(support::boolMember(*document, "idmappedMounts"));
  EXPECT_TRUE(support::boolMember(*document, "hostNetwork"));
}

TEST(DescribeFeatures, SaysWhyThereAreNoCheckpoints) {
  const auto document = support::parseJsonObject(
      describeFeatures({}, absl::FailedPreconditionError("no such kernel")), "test");
  ASSERT_TRUE(document.ok());
  EXPECT_FALSE(support::boolMember(*document, "checkpoint"));
  EXPECT_EQ(support::stringMember(*document, "checkpointReason"), "no such kernel");
}

TEST_F(ProbeRuntime, ARuntimeWithoutCheckpointsIsNotAskedFurther) {
  const absl::Status status = probeCheckpoints({.binary = "/x/crun", .checkpoints = false}, root_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/x/crun"));
}

TEST_F(ProbeRuntime, GarbageFromFeaturesIsNoFailure) {
  const auto features = probeRuntime(program("echo 'runc version 1.1.5'\n"));
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(features->version, "1.1.5");
}

TEST_F(ProbeRuntime, ABrokenBinaryIsReportedInItsOwnWords) {
  const auto features = probeRuntime(program("echo no such luck >&2; exit 3\n"));
  EXPECT_TRUE(absl::IsFailedPrecondition(features.status()));
  EXPECT_THAT(std::string(features.status().message()), HasSubstr("no such luck"));
}

TEST_F(ProbeRuntime, FindsBinariesByPathAndByName) {
  const std::string path = program("");
  EXPECT_EQ(*findBinary(path), path);
  EXPECT_THAT(*findBinary("/nowhere/sh"), HasSubstr("/sh"));
  const auto missing = findBinary("/nowhere/no-such-runtime");
  EXPECT_TRUE(absl::IsFailedPrecondition(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nowhere/no-such-runtime"));
}

}  // namespace
}  // namespace berth::runc
