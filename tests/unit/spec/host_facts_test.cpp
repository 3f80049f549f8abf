#include "common/host_facts.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/capability_names.hpp"
#include "fixture.hpp"

namespace berth::common {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// /proc and /sys as files.
struct Facts : testing::Test {
  Facts() {
    proc("self/status", "Name:\tx\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425ff\n");
    proc("sys/kernel/cap_last_cap", "40\n");
    proc("sys/kernel/osrelease", "5.10.0-28-amd64\n");
    proc("sys/kernel/hostname", "node\n");
    proc("self/oom_score_adj", "-999\n");
    proc("self/mountinfo", "");
  }
  void proc(const std::string& name, const std::string& text) {
    directory.write("proc/" + name, text);
  }
  void sys(const std::string& name, const std::string& text) {
    directory.write("sys/" + name, text);
  }
  absl::StatusOr<HostFacts> collect() {
    return collectHostFacts({.proc = directory / "proc",
                             .sys = directory / "sys",
                             .etc = directory / "etc",
                             .usr = directory / "usr"});
  }

  const spec::test::TemporaryDirectory directory;
};

TEST_F(Facts, OfAPlainHost) {
  const auto facts = collect();
  ASSERT_OK(facts);
  EXPECT_EQ(facts->capabilities, 0xa80425fbu);
  EXPECT_EQ(facts->kernelCapabilities, 0x1ffffffffffu);
  EXPECT_FALSE(facts->hasSysResource());
  EXPECT_TRUE(facts->has(0));
  EXPECT_EQ(facts->oomScoreAdj, -999);
  EXPECT_EQ(facts->kernel, (KernelVersion{.major = 5, .minor = 10}));
  EXPECT_EQ(facts->hostname, "node");
  EXPECT_EQ(facts->maximumOpenFiles, 1048576u);
  EXPECT_EQ(facts->cgroupMode, CgroupMode::kLegacy);
  EXPECT_FALSE(facts->hugetlb || facts->swapAccounting || facts->appArmor || facts->seLinux ||
               facts->seccomp || facts->userNamespaces);
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(facts->rlimits.at("RLIMIT_NOFILE").hard, files.rlim_max);
  EXPECT_EQ(facts->rlimits.size(), 16u);
}

TEST_F(Facts, OfVersionTwo) {
  proc("self/mountinfo",
       "30 1 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 "
       "rw,nsdelegate,memory_recursiveprot\n");
  proc("self/cgroup", "0::/system.slice/berth.service\n");
  sys("fs/cgroup/cgroup.controllers", "cpu memory hugetlb pids\n");
  EXPECT_FALSE(collect()->swapAccounting);
  sys("fs/cgroup/system.slice/berth.service/memory.swap.max", "max\n");
  const auto facts = collect();
  ASSERT_OK(facts);
  EXPECT_EQ(facts->cgroupMode, CgroupMode::kUnified);
  EXPECT_THAT(facts->cgroup2Options, ElementsAre("nsdelegate", "memory_recursiveprot"));
  EXPECT_TRUE(facts->hugetlb);
  EXPECT_TRUE(facts->swapAccounting);
}

TEST_F(Facts, OfVersionTwoSeenFromItsRoot) {
  proc("self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  proc("self/cgroup", "0::/\n");
  sys("fs/cgroup/cgroup.controllers", "cpu\n");
  EXPECT_FALSE(collect()->swapAccounting);
  sys("fs/cgroup/init.scope/memory.swap.max", "max\n");
  EXPECT_TRUE(collect()->swapAccounting);
  EXPECT_FALSE(collect()->hugetlb);
}

TEST_F(Facts, OfAHybrid) {
  proc("self/mountinfo",
       "31 1 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
       "32 31 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
       "33 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
       "34 31 0:30 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb\n");
  sys("fs/cgroup/memory/memory.memsw.limit_in_bytes", "1\n");
  const auto facts = collect();
  ASSERT_OK(facts);
  EXPECT_EQ(facts->cgroupMode, CgroupMode::kHybrid);
  EXPECT_THAT(facts->cgroup2Options, IsEmpty());
  EXPECT_TRUE(facts->hugetlb);
  EXPECT_TRUE(facts->swapAccounting);
}

TEST_F(Facts, OfCgroupsThatAreReadOnly) {
  EXPECT_FALSE(collect()->cgroupsReadOnly) << "there are none";
  const std::string hybrid =
      "31 1 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"  // as systemd leaves it
      "33 31 0:29 / /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"
      "34 31 0:30 / /sys/fs/cgroup/pids ";
  proc("self/mountinfo", hybrid + "rw - cgroup cgroup rw,pids\n");
  EXPECT_FALSE(collect()->cgroupsReadOnly);
  proc("self/mountinfo", hybrid + "ro - cgroup cgroup rw,pids\n");
  EXPECT_TRUE(collect()->cgroupsReadOnly);
  proc("self/mountinfo", hybrid + "rw - cgroup cgroup ro,pids\n");
  EXPECT_TRUE(collect()->cgroupsReadOnly);
}

TEST_F(Facts, OfSecurityModules) {
  sys("module/apparmor/parameters/enabled", "Y\n");
  sys("fs/selinux/enforce", "1");
  proc("sys/kernel/seccomp/actions_avail", "kill errno\n");
  proc("self/ns/user", "");
  proc("sys/user/max_user_namespaces", "0\n");
  proc("sys/fs/nr_open", "4096\n");
  auto facts = collect();
  ASSERT_OK(facts);
  EXPECT_FALSE(facts->appArmor);  // no securityfs
  EXPECT_TRUE(facts->seLinux);
  EXPECT_TRUE(facts->seccomp);
  EXPECT_FALSE(facts->userNamespaces);
  EXPECT_EQ(facts->maximumOpenFiles, 4096u);
  sys("kernel/security/apparmor/profiles", "");
  proc("sys/user/max_user_namespaces", "100\n");
  facts = collect();
  EXPECT_TRUE(facts->appArmor);
  EXPECT_EQ(facts->appArmorParser, "");
  EXPECT_EQ(facts->seLinuxProcessContext, "");
  EXPECT_TRUE(facts->userNamespaces);
}

TEST_F(Facts, OfPoliciesAndPrograms) {
  sys("module/apparmor/parameters/enabled", "Y\n");
  sys("kernel/security/apparmor/profiles", "");
  directory.write("usr/sbin/apparmor_parser", "");
  sys("fs/selinux/enforce", "0");
  directory.write("etc/selinux/config", "# SELINUXTYPE=mls\nSELINUX=enforcing\nSELINUXTYPE=mine\n");
  directory.write("etc/selinux/mine/contexts/lxc_contexts",
                  "; of containers\nprocess = \"system_u:system_r:box_t:s0\"\n"
                  "file=\"system_u:object_r:box_file_t:s0\"\nro_file = \"x\"\n");
  auto facts = collect();
  ASSERT_OK(facts);
  EXPECT_EQ(facts->appArmorParser, directory / "usr/sbin/apparmor_parser");
  EXPECT_EQ(facts->seLinuxProcessContext, "system_u:system_r:box_t:s0");
  EXPECT_EQ(facts->seLinuxFileContext, "system_u:object_r:box_file_t:s0");
  EXPECT_EQ(facts->seLinuxCheckPath, directory / "sys/fs/selinux/context");
  directory.write("usr/share/containers/selinux/contexts",
                  "process = \"a:b:c\"\nfile = \"d:e:f\"\n");
  facts = collect();
  EXPECT_EQ(facts->seLinuxProcessContext, "a:b:c");
  EXPECT_EQ(facts->seLinuxFileContext, "d:e:f");
  // A context that the loaded policy does not have is none.
  sys("fs/selinux/context/nothing-can-be-written-to-a-folder", "");
  facts = collect();
  EXPECT_TRUE(facts->seLinux);
  EXPECT_EQ(facts->seLinuxProcessContext, "");
  EXPECT_EQ(facts->seLinuxFileContext, "");
}

TEST_F(Facts, TheirOwnUserNamespace) {
  EXPECT_FALSE(collect()->inUserNamespace);
  proc("self/gid_map", "         0          0 4294967295\n");
  EXPECT_FALSE(collect()->inUserNamespace);
  for (const char* map : {"0 100000 65536\n", "0 1000 1\n1 100000 65536\n", ""}) {
    proc("self/gid_map", map);
    EXPECT_TRUE(collect()->inUserNamespace) << map;
  }
}

TEST_F(Facts, NeedAWorkingProc) {
  proc("self/status", "CapEff:\tzz\n");
  EXPECT_THAT(collect(), spec::test::FailsWith(absl::StatusCode::kInternal, "no number in CapEff"));
  proc("self/status", "CapEff:\t0\nCapBnd:\t0\n");
  proc("sys/kernel/osrelease", "six\n");
  EXPECT_THAT(collect(), spec::test::FailsWith(absl::StatusCode::kInternal, "\"six\""));
  proc("sys/kernel/osrelease", "6.1\n");
  EXPECT_TRUE(collect().ok());
  proc("self/oom_score_adj", "much\n");
  EXPECT_THAT(collect(), spec::test::FailsWith(absl::StatusCode::kInternal, "oom_score_adj"));
}

TEST(RealHost, HasFacts) {
  const auto facts = collectHostFacts();
  ASSERT_OK(facts);
  EXPECT_GE(facts->kernel.major, 4u);
  EXPECT_FALSE(facts->hostname.empty());
  EXPECT_NE(facts->kernelCapabilities & capabilityBit(*capabilityNumber("CAP_SYS_ADMIN")), 0u);
#ifdef __x86_64__
  if (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
    EXPECT_TRUE(facts->x32);
  else
    EXPECT_EQ(facts->x32, ::syscall(0x40000000 | SYS_getpid) > 0);
#endif
}

TEST(Architecture, IsNamedAsInImages) {
  EXPECT_EQ(architectureName("x86_64"), "amd64");
  EXPECT_EQ(architectureName("aarch64"), "arm64");
  EXPECT_EQ(architectureName("armv7l"), "arm");
  EXPECT_EQ(architectureName("riscv64"), "riscv64");
}

}  // namespace
}  // namespace berth::common
