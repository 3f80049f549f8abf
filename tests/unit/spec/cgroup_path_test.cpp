#include "engine/spec/cgroup_path.hpp"

#include "engine/spec/cgroup_location.hpp"
#include "fixture.hpp"

namespace berth::spec {
namespace {

using test::invalid;

struct Case {
  std::string parent;
  CgroupDriver driver;
  std::string path;
};

class CgroupsPath : public testing::TestWithParam<Case> {};

TEST_P(CgroupsPath, IsBelowTheParent) {
  const auto path = cgroupsPath(GetParam().parent, GetParam().driver, "id");
  ASSERT_OK(path);
  EXPECT_EQ(*path, GetParam().path);
}

INSTANTIATE_TEST_SUITE_P(
    All, CgroupsPath,
    testing::Values(
        Case{"/kubepods/burstable/pod1", CgroupDriver::kCgroupfs, "/kubepods/burstable/pod1/id"},
        Case{"kubepods//pod1/", CgroupDriver::kCgroupfs, "/kubepods/pod1/id"},
        Case{"/", CgroupDriver::kCgroupfs, "/id"}, Case{"", CgroupDriver::kCgroupfs, "/berth/id"},
        Case{"", CgroupDriver::kSystemd, "berth.slice:berth:id"},
        Case{"kubepods-pod1.slice", CgroupDriver::kSystemd, "kubepods-pod1.slice:berth:id"},
        Case{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice",
             CgroupDriver::kSystemd, "kubepods-burstable-pod1.slice:berth:id"}));

TEST(CgroupsPathRules, RefusesTheOtherDriversParents) {
  EXPECT_THAT(cgroupsPath("/kubepods.slice", CgroupDriver::kCgroupfs, "id"),
              invalid("is a systemd slice, but the cgroup driver is cgroupfs"));
  EXPECT_THAT(cgroupsPath("/kubepods/pod1", CgroupDriver::kSystemd, "id"),
              invalid("is not a slice, but the cgroup driver is systemd"));
  EXPECT_THAT(cgroupsPath(".slice", CgroupDriver::kSystemd, "id"), invalid("is not a slice"));
  EXPECT_THAT(cgroupsPath("a b.slice", CgroupDriver::kSystemd, "id"), invalid("is not a slice"));
}

TEST(CgroupsPathRules, RefusesToLeaveTheTree) {
  EXPECT_THAT(cgroupsPath("/kubepods/../..", CgroupDriver::kCgroupfs, "id"),
              invalid("must not contain \"..\""));
  EXPECT_THAT(cgroupsPath(std::string("/a\0b", 4), CgroupDriver::kCgroupfs, "id"),
              invalid("cgroup_parent contains a zero byte"));
}

TEST(CgroupLocation, IsThePathBelowTheHierarchies) {
  const CgroupDriver cgroupfs = CgroupDriver::kCgroupfs;
  const CgroupDriver systemd = CgroupDriver::kSystemd;
  EXPECT_EQ(*podCgroup("/kubepods/pod1", cgroupfs), "/kubepods/pod1");
  EXPECT_EQ(*containerCgroup("/kubepods/pod1", cgroupfs, "c"), "/kubepods/pod1/c");
  EXPECT_EQ(*containerCgroup("/", cgroupfs, "c"), "/c");
  EXPECT_EQ(*podCgroup("/kubepods.slice/kubepods-pod1.slice", systemd),
            "/kubepods.slice/kubepods-pod1.slice");
  EXPECT_EQ(*podCgroup("a-b-c.slice", systemd), "/a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(*podCgroup("", systemd), "/berth.slice");
  EXPECT_EQ(*containerCgroup("a-b.slice", systemd, "c"), "/a.slice/a-b.slice/berth-c.scope");
  EXPECT_EQ(*containerCgroup("-.slice", systemd, "c"), "/berth-c.scope");
  EXPECT_THAT(podCgroup("/kubepods/pod1", systemd), invalid("is not a slice"));
}

}  // namespace
}  // namespace berth::spec
