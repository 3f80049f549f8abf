#include "procfs.hpp"

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::bench {
namespace {

TEST(ProcessStat, survivesAProgramNamedToConfuse) {
  const auto stat = parseProcessStat(
      "42 (a b) R 9) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 98765 1000 5 0\n");
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->cpuTicks, 124u);
  EXPECT_EQ(stat->startTicks, 98765u);
}

TEST(ProcessStat, refusesWhatIsCutShort) {
  for (const char* text : {"", "42", "42 (x)", "42 (x) S 7 42",
                           "42 (x) S seven 42 42 0 -1 4194560 "
                           "1 2 3 4 1 2 3 1 20 0 1 0 9 1"}) {
    EXPECT_FALSE(parseProcessStat(text).ok()) << text;
  }
}

TEST(Kibibytes, readsTheNamedLineOnly) {
  constexpr char kText[] = "Rss:    1216 kB\nPss:     345 kB\nPss_Anon:  9 kB\nName:\tx\n";
  EXPECT_EQ(parseKibibytes(kText, "Pss").value_or(0), 345u);
  EXPECT_EQ(parseKibibytes(kText, "Pss_Anon").value_or(0), 9u);
  EXPECT_EQ(parseKibibytes(kText, "Swap").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(parseKibibytes(kText, "Name").status().code(), absl::StatusCode::kInvalidArgument);
}

constexpr char kSmaps[] =
    "5581-5591 r-xp 00000000 fd:00 42     /usr/lib/libshared.so.1\n"
    "Size:  64 kB\nRss:   40 kB\nPss:   10 kB\nPss_Dirty: 0 kB\nVmFlags: rd ex\n"
    "a581-a591 rw-p 00000000 00:00 0      [heap]\n"
    "Size:  64 kB\nRss:   30 kB\nPss:   30 kB\n"
    "f581-f591 r-xp 00000000 fd:00 43     /usr/bin/daemon\n"
    "Rss:   8 kB\nPss:   4 kB\n";

TEST(Proportional, addsUpTheMappings) {
  EXPECT_EQ(parseProportional(kSmaps, {}).value_or(0), 44u);
  EXPECT_EQ(parseProportional("", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST(Proportional, countsInFullWhatTheObserverSharesWithTheProcess) {
  EXPECT_EQ(parseProportional(kSmaps, {"/usr/lib/libshared.so.1"}).value_or(0), 74u);
}

TEST(MappedFiles, leavesOutAnonymousMemory) {
  EXPECT_THAT(mappedFiles(kSmaps),
              ::testing::ElementsAre("/usr/bin/daemon", "/usr/lib/libshared.so.1"));
}

TEST(MountPath, undoesTheKernelsEscapes) {
  EXPECT_EQ(unescapeMountPath("/a\\040b\\134c"), "/a b\\c");
  EXPECT_EQ(unescapeMountPath("/plain"), "/plain");
  EXPECT_EQ(unescapeMountPath("/end\\04"), "/end\\04");
  EXPECT_EQ(unescapeMountPath("/not\\999"), "/not\\999");
}

TEST(Proc, knowsThisProcess) {
  const pid_t self = ::getpid();
  EXPECT_EQ(programName(self), "berth_bench_procfs_test");
  EXPECT_TRUE(descendsFrom(self, ::getppid()));
  EXPECT_FALSE(descendsFrom(self, self));
  EXPECT_GT(proportionalKibibytes(self).value_or(0), 0u);
  EXPECT_GE(peakResidentKibibytes(self).value_or(0), proportionalKibibytes(self).value_or(0));
  const auto stat = readProcessStat(self);
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_TRUE(listProcesses().contains({self, stat->startTicks}));
  EXPECT_TRUE(commandLineHolds(self, "berth_bench_procfs_test"));
  const double used = ownCpuSeconds(self).value_or(0);
  EXPECT_GT(used, 0);
  EXPECT_GT(ownCpuSeconds(self).value_or(0), used);
}

TEST(Proc, aProcessThatHasGoneIsNoError) {
  // One above the kernel's limit for process ids can never exist.
  constexpr pid_t kNever = (1 << 22) + 1;
  EXPECT_EQ(programName(kNever), "");
  EXPECT_FALSE(environmentHolds(kNever, "PATH"));
  EXPECT_FALSE(descendsFrom(kNever, 1));
  EXPECT_EQ(readProcessStat(kNever).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ownCpuSeconds(kNever).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(killAndAwait({kNever, 0}).ok());
}

}  // namespace
}  // namespace berth::bench
