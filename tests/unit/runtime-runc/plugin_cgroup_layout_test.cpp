#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cgroup_layout.hpp"

namespace berth::runc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kUnified =
    "24 1 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
    "29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr std::string_view kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,clone_children,memory\n"
    "36 31 0:32 / /elsewhere/memory rw - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

TEST(CgroupLayout, UnifiedHierarchyServesEveryController) {
  const auto layout = CgroupLayout::parse(kUnified);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->mode(), CgroupMode::kUnified);
  EXPECT_EQ(layout->directory("memory", "/pod/c"), "/sys/fs/cgroup/pod/c");
  EXPECT_EQ(layout->unifiedDirectory("/pod"), "/sys/fs/cgroup/pod");
  EXPECT_THAT(layout->directories("/pod"), ElementsAre("/sys/fs/cgroup/pod"));
}

TEST(CgroupLayout, HybridKeepsControllersApart) {
  const auto layout = CgroupLayout::parse(kHybrid);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->mode(), CgroupMode::kHybrid);
  EXPECT_EQ(layout->directory("cpu", "/p"), "/sys/fs/cgroup/cpu,cpuacct/p");
  EXPECT_EQ(layout->directory("cpuacct", "/p"), "/sys/fs/cgroup/cpu,cpuacct/p");
  EXPECT_EQ(layout->directory("memory", "/p"), "/sys/fs/cgroup/memory/p");
  EXPECT_EQ(layout->directory("pids", "/p"), "");
  EXPECT_THAT(layout->directories("/p"),
              ElementsAre("/sys/fs/cgroup/cpu,cpuacct/p", "/sys/fs/cgroup/memory/p",
                          "/sys/fs/cgroup/systemd/p", "/sys/fs/cgroup/unified/p"));
}

TEST(CgroupLayout, WithoutTheUnifiedHierarchyItIsV1) {
  const std::string_view hybrid = kHybrid;
  const auto layout = CgroupLayout::parse(hybrid.substr(0, hybrid.find("41 31")));
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->mode(), CgroupMode::kV1);
  EXPECT_EQ(layout->unifiedDirectory("/p"), "");
}

TEST(CgroupLayout, NamedHierarchyAloneDoesNotMakeItV1) {
  const auto layout = CgroupLayout::parse(
      "29 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
      "40 31 0:37 / /sys/fs/named rw - cgroup cgroup rw,name=other\n");
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->mode(), CgroupMode::kUnified);
}

TEST(CgroupLayout, EscapedMountPointsAreRead) {
  const auto layout = CgroupLayout::parse("29 24 0:26 / /my\\040cgroups rw - cgroup2 cgroup2 rw\n");
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->unifiedDirectory("/p"), "/my cgroups/p");
}

TEST(CgroupLayout, NoHierarchyIsAnErrorWithAdvice) {
  const auto layout = CgroupLayout::parse("garbage\n24 1 0:22 / /sys rw - sysfs sysfs rw\n");
  EXPECT_TRUE(absl::IsFailedPrecondition(layout.status()));
  EXPECT_THAT(std::string(layout.status().message()), HasSubstr("/sys/fs/cgroup"));
}

struct PathCase {
  const char* given;
  CgroupDriver driver;
  const char* path;  // nullptr: refused
};

void PrintTo(const PathCase& tested, std::ostream* out) {
  *out << '"' << tested.given << '"';
}

class ContainerCgroup : public ::testing::TestWithParam<PathCase> {};

TEST_P(ContainerCgroup, IsWhereTheRuntimePutsIt) {
  const auto path = containerCgroup(GetParam().given, GetParam().driver);
  if (GetParam().path == nullptr) {
    EXPECT_TRUE(absl::IsInvalidArgument(path.status())) << path.status();
  } else {
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_EQ(*path, GetParam().path);
  }
}

constexpr auto kFs = CgroupDriver::kCgroupfs;
constexpr auto kSystemd = CgroupDriver::kSystemd;
INSTANTIATE_TEST_SUITE_P(
    Table, ContainerCgroup,
    ::testing::Values(PathCase{"/kubepods/pod1/abc", kFs, "/kubepods/pod1/abc"},
                      PathCase{"//kubepods/./pod1//abc/", kFs, "/kubepods/pod1/abc"},
                      PathCase{"kubepods/abc", kFs, nullptr}, PathCase{"/", kFs, nullptr},
                      PathCase{"", kFs, nullptr}, PathCase{"/a/../b", kFs, nullptr},
                      PathCase{"a-b.slice:berth:abc", kSystemd,
                               "/a.slice/a-b.slice/berth-abc.scope"},
                      PathCase{":berth:abc", kSystemd, "/system.slice/berth-abc.scope"},
                      PathCase{"a.slice::abc", kSystemd, "/a.slice/abc.scope"},
                      PathCase{"-.slice:berth:abc", kSystemd, "/berth-abc.scope"},
                      PathCase{"a.slice:berth:x.slice", kSystemd, "/a.slice/x.slice"},
                      PathCase{"a.slice:berth", kSystemd, nullptr},
                      PathCase{"a:berth:abc", kSystemd, nullptr},
                      PathCase{"a--b.slice:berth:abc", kSystemd, nullptr},
                      PathCase{"a.slice:berth:", kSystemd, nullptr},
                      PathCase{"/a.slice:berth:abc", kSystemd, nullptr}));

TEST(PodCgroup, FollowsTheDriver) {
  EXPECT_EQ(*podCgroup("/kubepods/pod1/", kFs), "/kubepods/pod1");
  EXPECT_EQ(*podCgroup("", kFs), "");
  EXPECT_EQ(*podCgroup("/", kFs), "");
  EXPECT_EQ(*podCgroup("/kubepods.slice/kubepods-podx.slice", kSystemd),
            "/kubepods.slice/kubepods-podx.slice");
  EXPECT_EQ(*podCgroup("kubepods-podx.slice", kSystemd), "/kubepods.slice/kubepods-podx.slice");
  EXPECT_TRUE(absl::IsInvalidArgument(podCgroup("/kubepods/podx", kSystemd).status()));
}

TEST(DefaultCgroupsPath, LiesBelowTheParentAndResolves) {
  EXPECT_EQ(*containerCgroup(defaultCgroupsPath("/kubepods/pod1", "abc", kFs), kFs),
            "/kubepods/pod1/abc");
  EXPECT_EQ(*containerCgroup(defaultCgroupsPath("", "abc", kFs), kFs), "/abc");
  EXPECT_EQ(*containerCgroup(defaultCgroupsPath("/a.slice/a-b.slice", "abc", kSystemd), kSystemd),
            "/a.slice/a-b.slice/berth-abc.scope");
}

}  // namespace
}  // namespace berth::runc
