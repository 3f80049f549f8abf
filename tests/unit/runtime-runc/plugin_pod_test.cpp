// A pod's containers, and the cgroups that pods share.
#include <sys/resource.h>

#include <gmock/gmock.h>

#include "cgroup_fixture.hpp"
#include "owned_cgroups.hpp"
#include "pod.hpp"
#include "pod_end.hpp"

namespace berth::runc {
namespace {

class NoListener final : public PodListener {
 public:
  void onContainerExited(const std::string&, const protocol::ContainerStatus&) override {}
  void onContainerOom(const std::string&, const protocol::ContainerStatus&) override {}
  void onMonitorLost(const std::string&) override {}
};

class PodTest : public CgroupFixture {
 protected:
  NoListener listener_;
};

// Nobody could ever wait for its end.
TEST_F(PodTest, AContainerNeedsADescriptor) {
  const CgroupLayout layout = unified();
  Pod pod({.id = "pod", .directory = root_}, layout, listener_);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto refused = pod.add({.id = "c", .bundle = "/b", .cgroup = "/p/c"});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_EQ(pod.find("c"), nullptr);
  EXPECT_TRUE(pod.add({.id = "c", .bundle = "/b", .cgroup = "/p/c"}).ok());
}

// Dead is only what is proven to be: what cannot be looked at may live.
TEST_F(PodTest, AShortageOfDescriptorsIsNoDeath) {
  const CgroupLayout layout = unified();
  Pod pod({.id = "pod", .directory = root_}, layout, listener_);
  ASSERT_TRUE(support::makeDirectories(root_ + "/monitor").ok());
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status unknown = reach(pod, limitsFor(std::chrono::seconds(10)));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(unknown)) << unknown;
  EXPECT_FALSE(pod.isDead());
  const absl::Status known = reach(pod, limitsFor(std::chrono::seconds(10)));
  EXPECT_TRUE(known.ok()) << known;
  EXPECT_TRUE(pod.isDead());
}

using Owned = CgroupFixture;

TEST_F(Owned, WhatAnotherPodIsAboutToUseStays) {
  const CgroupLayout layout = unified();
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  const std::string parent = root_ + "/shared";
  ASSERT_TRUE(owned.claim("a", "/shared/inner").ok());
  ASSERT_TRUE(support::makeDirectories(parent + "/inner").ok());  // as the runtime does
  ASSERT_TRUE(owned.claim("b", "/shared").ok());
  EXPECT_TRUE(owned.release("a", {"/shared/inner"}).ok());
  EXPECT_FALSE(support::pathExists(parent + "/inner"));
  EXPECT_TRUE(support::pathExists(parent));
  // Known after a restart as well.
  OwnedCgroups again(layout, root_ + "/cgroups.json");
  EXPECT_TRUE(again.release("b", {"/shared"}).ok());
  EXPECT_FALSE(support::pathExists(parent));
  EXPECT_FALSE(support::pathExists(root_ + "/cgroups.json"));
}

TEST_F(Owned, APodsOwnClaimsGoWithIt) {
  const CgroupLayout layout = unified();
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(owned.claim("a", "/x/y").ok());
  ASSERT_TRUE(support::makeDirectories(root_ + "/x/y").ok());
  EXPECT_TRUE(owned.release("a", {}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/x"));
}

// What was there before is nobody's to remove.
TEST_F(Owned, ForeignOnesStay) {
  const CgroupLayout layout = unified();
  ASSERT_TRUE(support::makeDirectories(root_ + "/x").ok());
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(owned.claim("a", "/x/y").ok());
  ASSERT_TRUE(support::makeDirectories(root_ + "/x/y").ok());
  EXPECT_TRUE(owned.release("a", {"/x/y"}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/x/y"));
  EXPECT_TRUE(support::pathExists(root_ + "/x"));
}

}  // namespace
}  // namespace berth::runc
