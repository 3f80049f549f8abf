#include <cstdlib>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/mounts.hpp"
#include "user_namespace_binds.hpp"

namespace berth::runc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

RuntimeFeatures crun(const std::string& version) {
  RuntimeFeatures features;
  parseVersion("crun version " + version + "\n", features);
  return features;
}

// A container's folder, with a bundle and a volume in it that everybody may pass.
class UserNamespaceBinds : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-binds-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    folder_ = pattern;
    ASSERT_EQ(::chmod(pattern, 0711), 0);
    for (const char* name : {"/bundle", "/volume", "/volume/below", "/secret", "/secret/volume",
                             "/secret/volume/below"}) {
      ASSERT_TRUE(support::makeDirectories(folder_ + name, 0711).ok());
    }
    ASSERT_EQ(::chmod((folder_ + "/secret").c_str(), 0750), 0);
    ASSERT_EQ(::symlink(folder_.c_str(), (folder_ + "/link").c_str()), 0);
  }
  void TearDown() override {
    for (const char* name : {"/volume/below", "/secret/volume/below"}) {
      EXPECT_TRUE(support::unmount(folder_ + name, support::UnmountMode::kLazy).ok());
    }
    EXPECT_TRUE(support::removeTree(folder_).ok());
  }

  boost::json::object spec(const std::string& source, const std::string& options,
                           const std::string& space = "user") {
    const std::string text = R"({"linux": {"namespaces": [{"type": "mount"}, {"type": ")" + space +
                             R"("}]}, "mounts": [{"destination": "/d", "source": ")" + source +
                             R"(", "options": )" + options + "}]}";
    return *support::parseJsonObject(text, "spec");
  }
  // The mount as it is told then; "" when nothing was changed.
  std::string adapted(boost::json::object document, const RuntimeFeatures& runtime,
                      const std::string& bundle = "/bundle") {
    const auto changed = adaptBinds(document, folder_ + bundle, runtime);
    if (!changed.ok()) return std::string(changed.status().message());
    if (!*changed) return "";
    const boost::json::object& mount = document.at("mounts").at(0).as_object();
    return support::stringMember(mount, "source") + " " +
           boost::json::serialize(mount.at("options"));
  }

  std::string folder_;
};

TEST_F(UserNamespaceBinds, OldCrunGetsSourcesRelativeToTheBundle) {
  const std::string options = R"(["rbind","rprivate","ro"])";
  const std::string expected = "../volume " + options;
  EXPECT_EQ(adapted(spec(folder_ + "/volume", options), crun("1.8.1")), expected);
  // The kernel goes up from where the bundle really is.
  EXPECT_EQ(adapted(spec(folder_ + "/link/volume", options), crun("1.8.7"), "/link/bundle"),
            expected);
  // A source that is made right before the start.
  EXPECT_EQ(adapted(spec(folder_ + "/mounts/0", options), crun("1.8")), "../mounts/0 " + options);
  EXPECT_EQ(adapted(spec("/", options), crun("1.8.1")), "../../.. " + options);
}

TEST_F(UserNamespaceBinds, OthersNeedNoRelativeSources) {
  const std::string options = R"(["rbind","rprivate"])";
  EXPECT_EQ(adapted(spec(folder_ + "/volume", options), crun("1.9")), "");
  EXPECT_EQ(adapted(spec(folder_ + "/volume", options, "ipc"), crun("1.8.1")), "");
  EXPECT_EQ(adapted(spec(folder_ + "/volume", R"(["bind","private"])"), crun("1.8.1")), "");
  EXPECT_EQ(adapted(spec("volume", options), crun("1.8.1")), "");
  EXPECT_EQ(adapted(spec("tmpfs", R"(["nosuid"])"), crun("1.8.1")), "");
  RuntimeFeatures runc;
  parseVersion("runc version 1.1.5\n", runc);
  EXPECT_EQ(adapted(spec(folder_ + "/volume", R"(["rbind"])"), runc), "");
  boost::json::object nothing;
  EXPECT_EQ(adapted(nothing, crun("1.8.1")), "");
}

TEST_F(UserNamespaceBinds, MountsOfTheContainerStayInside) {
  EXPECT_EQ(adapted(spec(folder_ + "/volume", R"(["rbind","ro"])"), crun("1.20")),
            folder_ + R"(/volume ["rbind","ro","rslave"])");
  EXPECT_EQ(adapted(spec(folder_ + "/volume", R"(["bind"])"), crun("1.8.1")),
            folder_ + R"(/volume ["bind","slave"])");
  EXPECT_EQ(adapted(spec(folder_ + "/volume", R"(["rbind","rshared"])"), crun("1.20")), "");
}

TEST_F(UserNamespaceBinds, TheContainersRootPassesAsItsGroup) {
  const std::string secret = folder_ + "/secret";
  if (::chown(secret.c_str(), 0, 4711) != 0) GTEST_SKIP() << "needs the right to give files away";
  const std::string options = R"(["rbind","rprivate"])";
  boost::json::object document = spec(secret + "/volume", options);
  document["linux"].as_object()["gidMappings"] =
      boost::json::array{{{"containerID", 0}, {"hostID", 4711}, {"size", 65536}}};
  EXPECT_EQ(adapted(document, crun("1.8.1")), "../secret/volume " + options);
  document["linux"].as_object()["gidMappings"] =
      boost::json::array{{{"containerID", 0}, {"hostID", 4712}, {"size", 65536}}};
  EXPECT_EQ(adapted(document, crun("1.8.1")), "");
}

TEST_F(UserNamespaceBinds, WhatTheContainersRootCannotReachIsBoundAlone) {
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs the right to mount";
  ASSERT_TRUE(
      support::setPropagation("/", support::Propagation::kPrivate, support::MountScope::kRecursive)
          .ok());
  const std::string options = R"(["rbind","rprivate"])";
  ASSERT_TRUE(support::bindMount(folder_ + "/bundle", folder_ + "/volume/below").ok());
  EXPECT_EQ(adapted(spec(folder_ + "/secret/volume", options), crun("1.8.1")), "");
  EXPECT_EQ(adapted(spec(folder_ + "/volume", options), crun("1.8.1")), "../volume " + options);

  ASSERT_TRUE(support::bindMount(folder_ + "/bundle", folder_ + "/secret/volume/below").ok());
  EXPECT_THAT(adapted(spec(folder_ + "/secret/volume", options), crun("1.8.1")),
              AllOf(HasSubstr("mount " + folder_ + "/secret/volume on /d"), HasSubstr("crun 1.8.1"),
                    HasSubstr("would not show " + folder_ + "/secret/volume/below"),
                    HasSubstr("pass " + folder_ + "/secret;")));
  EXPECT_EQ(adapted(spec(folder_ + "/secret/volume", options), crun("1.9")), "");

  // Nobody could go up from there either.
  ASSERT_EQ(::chmod((folder_ + "/bundle").c_str(), 0700), 0);
  EXPECT_THAT(adapted(spec(folder_ + "/volume", options), crun("1.8.1")),
              HasSubstr("pass " + folder_ + "/bundle;"));
}

}  // namespace
}  // namespace berth::runc
