#include "berth/support/process_stat.hpp"

#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace berth::support {
namespace {

constexpr size_t kParent = 4;

TEST(ProcessStat, TellsLivingProcesses) {
  EXPECT_GT(processStart(::getpid()), 0u);
  EXPECT_EQ(processStat(::getpid(), kParent), static_cast<uint64_t>(::getppid()));
  EXPECT_EQ(processStart(0), 0u);
  EXPECT_EQ(processStart(-5), 0u);
}

TEST(ProcessStat, NamesMayHoldAnything) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NAME, "a) S 1 (b c)");
    ::kill(::getpid(), SIGSTOP);
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, WUNTRACED), child);
  EXPECT_EQ(processStat(child, kParent), static_cast<uint64_t>(::getpid()));
  EXPECT_GE(processStart(child), processStart(::getpid()));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(processStart(child), 0u);
}

TEST(ProcessStat, TellsWhatIsAtItsEnd) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_FALSE(isProcessEnding(child));
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(isProcessEnding(child)) << "nobody has reaped it yet";
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(isProcessEnding(child));
}

TEST(ProcessStat, FieldsThatThereAreNot) {
  EXPECT_EQ(processStat(::getpid(), 1000), 0u);
}

TEST(UnifiedCgroup, IsTheOneOfHierarchyZero) {
  EXPECT_EQ(unifiedCgroupIn("0::/a/b.scope\n"), "/a/b.scope");
  EXPECT_EQ(unifiedCgroupIn("10::/named\n4:memory:/0::/x\n0::/\n"), "/");
  EXPECT_EQ(unifiedCgroupIn("4:memory:/a\n1:name=systemd:/b\n"), "");
  EXPECT_EQ(unifiedCgroupIn(""), "");
}

}  // namespace
}  // namespace berth::support
