// Parsing of the kernel's files, laid out as a kernel would in a directory of the test's own.
#include <filesystem>
#include <fstream>
#include <string>

#include "berth/support/stats.hpp"
#include "cgroup_fixture.hpp"
#include "cgroup_stats.hpp"
#include "usage_report.hpp"

namespace berth::runc {
namespace {

constexpr uint64_t kGibibyte = uint64_t{1} << 30;

using CgroupStatsTest = CgroupFixture;

constexpr uint32_t kUsual = ~uint32_t{BERTH_STATS_ON_REQUEST};

TEST_F(CgroupStatsTest, ReadsTheUnifiedHierarchy) {
  write("pod/c/cpu.stat",
        "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 7\nnr_throttled 3\n"
        "throttled_usec 20\nnr_bursts 4\nburst_usec 6\n");
  write("pod/c/memory.current", "1000000\n");
  write("pod/c/memory.stat",
        "anon 400000\nfile 500000\nkernel 60000\nkernel_stack 5\nfile_mapped 1234\n"
        "file_dirty 21\nfile_writeback 22\ninactive_file 300000\nactive_file 23\n"
        "workingset_refault_anon 24\nworkingset_refault_file 25\npgscan 26\npgsteal 27\n"
        "pgfault 99\npgmajfault 4\n");
  write("pod/c/memory.peak", "2000000\n");
  write("pod/c/memory.events", "low 0\nhigh 8\nmax 5\noom 2\noom_kill 1\n");
  write("pod/c/memory.max", "1073741824\n");
  write("pod/c/memory.swap.current", "77\n");
  write("pod/c/memory.swap.max", "max\n");
  write("pod/c/cgroup.procs", "10\n11\n");
  write("pod/c/pids.current", "6\n");
  write("pod/c/pids.max", "100\n");
  write("pod/c/io.stat",
        "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n"
        "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n");
  write("pod/c/cpu.pressure",
        "some avg10=1.50 avg60=2.25 avg300=0.10 total=12345\n"
        "full avg10=0.50 avg60=0.00 avg300=0.00 total=99\n");
  CgroupStats reader(unified(), "/pod/c");
  berth_stats stats{};
  ASSERT_TRUE(reader.read(kUsual, stats));
  EXPECT_EQ(stats.present,
            uint32_t{BERTH_STATS_CPU | BERTH_STATS_CPU_DETAIL | BERTH_STATS_MEMORY |
                     BERTH_STATS_MEMORY_DETAIL | BERTH_STATS_MEMORY_LIMIT | BERTH_STATS_RECLAIM |
                     BERTH_STATS_SWAP | BERTH_STATS_PROCESSES | BERTH_STATS_PSI | BERTH_STATS_IO});
  EXPECT_EQ(stats.cpu_burst_periods, 4u);
  EXPECT_EQ(stats.cpu_burst_time, 6000u);
  EXPECT_EQ(stats.memory_file_dirty, 21u);
  EXPECT_EQ(stats.memory_file_writeback, 22u);
  EXPECT_EQ(stats.memory_active_file, 23u);
  EXPECT_EQ(stats.memory_inactive_file, 300000u);
  EXPECT_EQ(stats.anonymous_refaults, 24u);
  EXPECT_EQ(stats.file_refaults, 25u);
  EXPECT_EQ(stats.pages_scanned, 26u);
  EXPECT_EQ(stats.pages_reclaimed, 27u);
  EXPECT_EQ(stats.memory_high_events, 8u);
  EXPECT_EQ(stats.memory_max_events, 5u);
  EXPECT_EQ(stats.own_page_faults, 99u);
  EXPECT_EQ(stats.own_major_page_faults, 4u);
  EXPECT_EQ(stats.cpu_usage, 1500000u);
  EXPECT_EQ(stats.cpu_user, 1000000u);
  EXPECT_EQ(stats.cpu_system, 500000u);
  EXPECT_EQ(stats.cpu_periods, 7u);
  EXPECT_EQ(stats.cpu_throttled_periods, 3u);
  EXPECT_EQ(stats.cpu_throttled_time, 20000u);
  EXPECT_EQ(stats.memory_usage, 1000000u);
  EXPECT_EQ(stats.memory_working_set, 700000u);
  EXPECT_EQ(stats.memory_rss, 400000u);
  EXPECT_EQ(stats.memory_cache, 500000u);
  EXPECT_EQ(stats.memory_kernel, 60000u);
  EXPECT_EQ(stats.memory_mapped_file, 1234u);
  EXPECT_EQ(stats.memory_max_usage, 2000000u);
  EXPECT_EQ(stats.memory_failures, 5u);
  EXPECT_EQ(stats.memory_limit, kGibibyte);
  EXPECT_EQ(stats.oom_events, 1u);
  EXPECT_EQ(stats.page_faults, 99u);
  EXPECT_EQ(stats.major_page_faults, 4u);
  EXPECT_EQ(stats.swap_usage, 77u);
  EXPECT_EQ(stats.swap_limit, 0u);
  EXPECT_EQ(stats.processes, 2u);
  EXPECT_EQ(stats.threads, 6u);
  EXPECT_EQ(stats.threads_limit, 100u);
  EXPECT_EQ(stats.io_read_bytes, 101u);
  EXPECT_EQ(stats.io_written_bytes, 202u);
  EXPECT_EQ(stats.io_reads, 4u);
  EXPECT_EQ(stats.io_writes, 6u);
  EXPECT_DOUBLE_EQ(stats.cpu_psi.some_avg10, 1.5);
  EXPECT_DOUBLE_EQ(stats.cpu_psi.some_avg60, 2.25);
  EXPECT_EQ(stats.cpu_psi.some_total, 12345u);
  EXPECT_DOUBLE_EQ(stats.cpu_psi.full_avg10, 0.5);
  EXPECT_EQ(stats.cpu_psi.full_total, 99u);
  EXPECT_GT(stats.timestamp, 0);
}

TEST_F(CgroupStatsTest, ReadsTheHierarchiesOfV1) {
  write("cpuacct/c/cpuacct.usage", "5000\n");
  write("cpuacct/c/cpuacct.usage_user", "3000\n");
  write("cpuacct/c/cpuacct.usage_sys", "2000\n");
  write("cpu/c/cpu.stat",
        "nr_periods 4\nnr_throttled 2\nthrottled_time 900\nnr_bursts 1\nburst_time 7\n");
  write("memory/c/memory.usage_in_bytes", "5000\n");
  write("memory/c/memory.stat",
        "cache 1\nrss 2\ninactive_file 3\npgfault 6\npgmajfault 5\ntotal_active_file 12\n"
        "total_dirty 13\ntotal_writeback 14\ntotal_cache 100\ntotal_rss 200\ntotal_mapped_file 50\n"
        "total_inactive_file 1000\ntotal_pgfault 9\ntotal_pgmajfault 8\ntotal_swap 7\n");
  write("memory/c/memory.kmem.usage_in_bytes", "11\n");
  write("memory/c/memory.max_usage_in_bytes", "6000\n");
  write("memory/c/memory.failcnt", "12\n");
  write("memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
  write("memory/c/memory.limit_in_bytes", "1000000\n");
  write("memory/c/memory.memsw.limit_in_bytes", "1500000\n");
  write("pids/c/cgroup.procs", "1\n2\n3\n");
  write("pids/c/pids.current", "4\n");
  write("pids/c/pids.max", "max\n");
  write("blkio/c/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n8:16 Read 1\nTotal 31\n");
  write("blkio/c/blkio.throttle.io_serviced_recursive", "8:0 Read 2\n8:0 Write 3\nTotal 5\n");
  write("unified/c/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=42\n");
  CgroupStats reader(hybrid(), "/c");
  berth_stats stats{};
  ASSERT_TRUE(reader.read(kUsual, stats));
  EXPECT_EQ(stats.cpu_usage, 5000u);
  EXPECT_EQ(stats.cpu_user, 3000u);
  EXPECT_EQ(stats.cpu_system, 2000u);
  EXPECT_EQ(stats.cpu_periods, 4u);
  EXPECT_EQ(stats.cpu_throttled_time, 900u);
  EXPECT_EQ(stats.cpu_burst_time, 7u);
  EXPECT_EQ(stats.own_page_faults, 6u);
  EXPECT_EQ(stats.own_major_page_faults, 5u);
  EXPECT_EQ(stats.page_faults, 9u);
  EXPECT_EQ(stats.major_page_faults, 8u);
  EXPECT_EQ(stats.memory_active_file, 12u);
  EXPECT_EQ(stats.memory_file_dirty, 13u);
  EXPECT_EQ(stats.memory_file_writeback, 14u);
  EXPECT_EQ(stats.present & BERTH_STATS_RECLAIM, 0u);
  EXPECT_NE(stats.present & BERTH_STATS_SWAP_LIMIT, 0u);
  EXPECT_EQ(stats.memory_working_set, 4000u);
  EXPECT_EQ(stats.memory_rss, 200u);
  EXPECT_EQ(stats.memory_cache, 100u);
  EXPECT_EQ(stats.memory_kernel, 11u);
  EXPECT_EQ(stats.memory_limit, 1000000u);
  EXPECT_EQ(stats.swap_usage, 7u);
  EXPECT_EQ(stats.swap_limit, 500000u);
  EXPECT_EQ(stats.oom_events, 3u);
  EXPECT_EQ(stats.memory_failures, 12u);
  EXPECT_EQ(stats.processes, 3u);
  EXPECT_EQ(stats.threads, 4u);
  EXPECT_EQ(stats.threads_limit, 0u);
  EXPECT_EQ(stats.io_read_bytes, 11u);
  EXPECT_EQ(stats.io_written_bytes, 20u);
  EXPECT_EQ(stats.io_reads, 2u);
  EXPECT_EQ(stats.io_writes, 3u);
  EXPECT_EQ(stats.memory_psi.some_total, 42u);
}

TEST_F(CgroupStatsTest, ReadsAnewThroughKeptFiles) {
  write("c/memory.current", "100\n");
  CgroupStats reader(unified(), "/c");
  berth_stats stats{};
  ASSERT_TRUE(reader.read(kUsual, stats));
  EXPECT_EQ(stats.memory_usage, 100u);
  // In place, as the kernel changes them; a longer and a shorter text.
  for (const std::string text : {"1000000\n", "7\n"}) {
    std::ofstream(root_ + "/c/memory.current") << text;
    berth_stats again{};
    ASSERT_TRUE(reader.read(kUsual, again));
    EXPECT_EQ(again.memory_usage, std::stoull(text));
  }
}

TEST_F(CgroupStatsTest, KeepsNothingOpenAfterRelease) {
  write("c/memory.current", "100\n");
  const auto openFiles = [this] {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
      if (target.rfind(root_, 0) == 0) ++count;
    }
    return count;
  };
  CgroupStats reader(unified(), "/c");
  berth_stats stats{};
  ASSERT_TRUE(reader.read(kUsual, stats));
  EXPECT_EQ(openFiles(), 1u);
  reader.release();
  EXPECT_EQ(openFiles(), 0u);
  ASSERT_TRUE(reader.read(kUsual, stats));
  EXPECT_EQ(stats.memory_usage, 100u);
  EXPECT_EQ(openFiles(), 0u);
}

TEST_F(CgroupStatsTest, FilesLongerThanAPageAreReadWhole) {
  std::string text;
  for (int disk = 0; disk < 200; ++disk) {
    text += "8:" + std::to_string(disk) + " rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n";
  }
  write("c/memory.current", "1\n");
  write("c/io.stat", text);
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(unified(), "/c").read(kUsual, stats));
  EXPECT_EQ(stats.io_read_bytes, 200u);
  EXPECT_EQ(stats.io_writes, 800u);
}

TEST_F(CgroupStatsTest, NoLimitIsNotPresent) {
  write("memory/c/memory.usage_in_bytes", "100\n");
  write("memory/c/memory.stat", "total_inactive_file 5000\n");
  write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(hybrid(), "/c").read(kUsual, stats));
  EXPECT_EQ(stats.present & BERTH_STATS_MEMORY_LIMIT, 0u);
  EXPECT_EQ(stats.present & (BERTH_STATS_CPU | BERTH_STATS_SWAP | BERTH_STATS_PSI), 0u);
  EXPECT_EQ(stats.memory_limit, 0u);
  // Usage and statistics are not read at one instant: never below nothing.
  EXPECT_EQ(stats.memory_working_set, 0u);
}

TEST_F(CgroupStatsTest, MalformedFilesCountAsNothing) {
  write("c/cpu.stat", "usage_usec\nuser_usec x\n\n 5\nsystem_usec 3");
  write("c/memory.current", "lots\n");
  write("c/io.stat", "8:0\n8:16 rbytes= wbytes=5\nnonsense=1\n");
  write("c/io.pressure", "some\nfull avg10=\nother total=7\n");
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(unified(), "/c").read(kUsual, stats));
  EXPECT_EQ(stats.present & BERTH_STATS_MEMORY, 0u);
  EXPECT_EQ(stats.cpu_usage, 0u);
  EXPECT_EQ(stats.cpu_system, 3000u);
  EXPECT_EQ(stats.io_written_bytes, 5u);
}

TEST_F(CgroupStatsTest, CgroupThatIsGoneHasNoStats) {
  berth_stats stats{};
  EXPECT_FALSE(CgroupStats(unified(), "/gone").read(kUsual, stats));
  EXPECT_FALSE(CgroupStats(hybrid(), "/gone").read(kUsual, stats));
  EXPECT_EQ(stats.present, 0u);
}

TEST_F(CgroupStatsTest, OnlyWhatIsWantedIsRead) {
  write("c/cpu.stat", "usage_usec 5\n");
  write("c/memory.current", "100\n");
  write("c/memory.events", "oom_kill 3\n");
  write("c/memory.swap.max", "7\n");
  write("c/cgroup.procs", "1\n");
  CgroupStats reader(unified(), "/c");
  berth_stats stats{};
  ASSERT_TRUE(reader.read(BERTH_STATS_MEMORY, stats));
  EXPECT_EQ(stats.memory_usage, 100u);
  EXPECT_EQ(stats.present & (BERTH_STATS_CPU | BERTH_STATS_PROCESSES | BERTH_STATS_SWAP_LIMIT |
                             BERTH_STATS_MEMORY_DETAIL),
            0u);
  EXPECT_EQ(stats.oom_events, 0u);
  EXPECT_FALSE(reader.read(BERTH_STATS_PSI, stats));
}

TEST_F(CgroupStatsTest, ASwapLimitOfNothingIsOne) {
  write("c/memory.current", "100\n");
  write("c/memory.swap.current", "0\n");
  write("c/memory.swap.max", "0\n");
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(unified(), "/c").read(kUsual, stats));
  EXPECT_NE(stats.present & BERTH_STATS_SWAP_LIMIT, 0u);
  EXPECT_EQ(stats.swap_limit, 0u);
}

TEST_F(CgroupStatsTest, ProcessesInCgroupsBelowCount) {
  write("c/cgroup.procs", "10\n11\n");
  write("c/init.scope/cgroup.procs", "12\n");
  write("c/system.slice/a.service/cgroup.procs", "13\n14\n15\n");
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(unified(), "/c").read(kUsual, stats));
  EXPECT_EQ(stats.processes, 6u);
}

TEST_F(CgroupStatsTest, ProcessesAreCountedHoweverMany) {
  std::string list;
  for (int pid = 1; pid <= 20'000; ++pid) list += std::to_string(pid) + "\n";
  write("c/cgroup.procs", list);
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(unified(), "/c").read(kUsual, stats));
  EXPECT_EQ(stats.processes, 20'000u);
}

TEST_F(CgroupStatsTest, KernelMemoryOfOldKernelsIsTheSumOfItsParts) {
  write("c/memory.current", "100\n");
  write("c/memory.stat", "kernel_stack 1\npagetables 2\npercpu 4\nslab 8\nslab_reclaimable 5\n");
  berth_stats stats{};
  ASSERT_TRUE(CgroupStats(unified(), "/c").read(kUsual, stats));
  EXPECT_EQ(stats.memory_kernel, 15u);
}

TEST(AddStats, SumsUsageAndLeavesLimits) {
  berth_stats sum{};
  berth_stats part{};
  part.present = BERTH_STATS_CPU | BERTH_STATS_MEMORY | BERTH_STATS_MEMORY_LIMIT |
                 BERTH_STATS_SWAP_LIMIT | BERTH_STATS_PSI;
  part.cpu_usage = 5;
  part.memory_usage = 7;
  part.memory_limit = 9;
  support::addStats(sum, part);
  support::addStats(sum, part);
  EXPECT_EQ(sum.cpu_usage, 10u);
  EXPECT_EQ(sum.memory_usage, 14u);
  EXPECT_EQ(sum.memory_limit, 0u);
  EXPECT_EQ(sum.present, uint32_t{BERTH_STATS_CPU | BERTH_STATS_MEMORY});
}

}  // namespace
}  // namespace berth::runc
