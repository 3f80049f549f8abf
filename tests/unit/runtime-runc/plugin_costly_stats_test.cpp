// What is read on request alone: disks, huge pages, processes one by one.
#include <unistd.h>

#include "cgroup_fixture.hpp"
#include "disk_stats.hpp"
#include "hugepage_stats.hpp"
#include "task_stats.hpp"

namespace berth::runc {
namespace {

using CostlyStatsTest = CgroupFixture;

TEST_F(CostlyStatsTest, DisksOfTheUnifiedHierarchy) {
  write("c/io.stat",
        "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
        "8:0 rbytes=10 wbytes=20 rios=30 wios=40 dbytes=0 dios=0 cost.usage=1 cost.wait=2 "
        "cost.indebt=3 cost.indelay=4\n"
        "7:0 rbytes=0 wbytes=0 rios=0 wios=0 dbytes=0 dios=0\n"
        "nonsense\n");
  const std::vector<DiskStats> disks = readDisks(unified(), "/c");
  ASSERT_EQ(disks.size(), 2u) << "those that were used";
  const berth_disk_stats& first = disks[0].counters;
  EXPECT_EQ(first.size, sizeof(berth_disk_stats));
  EXPECT_EQ(first.major, 8u);
  EXPECT_EQ(first.minor, 0u);
  EXPECT_EQ(first.read_bytes, 10u);
  EXPECT_EQ(first.written_bytes, 20u);
  EXPECT_EQ(first.reads, 30u);
  EXPECT_EQ(first.writes, 40u);
  EXPECT_EQ(first.present, uint32_t{BERTH_DISK_COST});
  EXPECT_EQ(first.cost_usage, 1000u);
  EXPECT_EQ(first.cost_wait, 2000u);
  EXPECT_EQ(first.cost_debt, 3000u);
  EXPECT_EQ(first.cost_delay, 4000u);
  EXPECT_EQ(disks[1].counters.minor, 16u);
  EXPECT_EQ(disks[1].counters.discarded_bytes, 5u);
  EXPECT_EQ(disks[1].counters.present, 0u);
}

TEST_F(CostlyStatsTest, DisksOfV1) {
  write("blkio/c/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 10\n8:0 Write 20\n8:0 Sync 12\n8:0 Async 18\n8:0 Discard 5\n8:0 Total 35\n"
        "Total 35\n");
  write("blkio/c/blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
  write("blkio/c/blkio.bfq.io_service_time_recursive", "8:0 Read 100\n8:0 Write 200\nTotal 300\n");
  write("blkio/c/blkio.bfq.io_merged_recursive", "8:0 Read 7\n8:0 Write 8\nTotal 15\n");
  write("blkio/c/blkio.bfq.io_queued_recursive", "8:0 Read 3\n8:0 Total 4\nTotal 4\n");
  const std::vector<DiskStats> disks = readDisks(hybrid(), "/c");
  ASSERT_EQ(disks.size(), 1u);
  const berth_disk_stats& disk = disks[0].counters;
  EXPECT_EQ(disk.read_bytes, 10u);
  EXPECT_EQ(disk.written_bytes, 20u);
  EXPECT_EQ(disk.sync_bytes, 12u);
  EXPECT_EQ(disk.async_bytes, 18u);
  EXPECT_EQ(disk.discarded_bytes, 5u);
  EXPECT_EQ(disk.reads, 1u);
  EXPECT_EQ(disk.writes, 2u);
  EXPECT_EQ(disk.read_time, 100u);
  EXPECT_EQ(disk.write_time, 200u);
  EXPECT_EQ(disk.reads_merged, 7u);
  EXPECT_EQ(disk.writes_merged, 8u);
  EXPECT_EQ(disk.queued, 4u);
  EXPECT_EQ(disk.present, uint32_t{BERTH_DISK_SYNC | BERTH_DISK_SCHEDULER});
}

TEST_F(CostlyStatsTest, ADiskGoesByItsNameUnderDev) {
  // A number that no kernel gives to a disk: nothing to find.
  write("c/io.stat", "4095:7 rbytes=1 wbytes=0 rios=1 wios=0\n");
  const std::vector<DiskStats> unknown = readDisks(unified(), "/c");
  ASSERT_EQ(unknown.size(), 1u);
  EXPECT_EQ(unknown[0].device, "");
  // And one that is there, if this machine has any.
  const auto disks = support::listDirectory("/sys/dev/block");
  if (!disks.ok() || disks->empty()) GTEST_SKIP() << "this machine has no disks";
  write("c/io.stat", disks->front() + " rbytes=1 wbytes=0 rios=1 wios=0\n");
  const std::vector<DiskStats> known = readDisks(unified(), "/c");
  ASSERT_EQ(known.size(), 1u);
  EXPECT_TRUE(known[0].device.starts_with("/dev/")) << known[0].device;
}

TEST_F(CostlyStatsTest, NoCgroupNoDisks) {
  EXPECT_TRUE(readDisks(unified(), "/gone").empty());
  EXPECT_TRUE(readDisks(hybrid(), "/gone").empty());
}

TEST_F(CostlyStatsTest, HugePagesOfBothVersions) {
  write("c/hugetlb.2MB.current", "4194304\n");
  write("c/hugetlb.2MB.events", "max 3\n");
  const std::vector<std::string> sizes = {"2MB", "1GB"};
  const auto v2 = readHugepages(unified(), "/c", sizes);
  ASSERT_EQ(v2.size(), 1u) << "the controller does not account for the other";
  EXPECT_EQ(v2[0].pageSize, "2MB");
  EXPECT_EQ(v2[0].counters.usage, 4194304u);
  EXPECT_EQ(v2[0].counters.max_usage, 0u);
  EXPECT_EQ(v2[0].counters.failures, 3u);

  write("hugetlb/c/hugetlb.1GB.usage_in_bytes", "1073741824\n");
  write("hugetlb/c/hugetlb.1GB.max_usage_in_bytes", "2147483648\n");
  write("hugetlb/c/hugetlb.1GB.failcnt", "1\n");
  const auto v1 = readHugepages(hybrid(), "/c", sizes);
  ASSERT_EQ(v1.size(), 1u);
  EXPECT_EQ(v1[0].pageSize, "1GB");
  EXPECT_EQ(v1[0].counters.max_usage, 2147483648u);
  EXPECT_EQ(v1[0].counters.failures, 1u);
}

// Processes as procfs shows them.
class TasksTest : public CgroupFixture {
 protected:
  void addDescriptors(int pid, int files, int sockets) {
    const std::string folder = root_ + "/proc/" + std::to_string(pid) + "/fd";
    ASSERT_TRUE(support::makeDirectories(folder).ok());
    for (int i = 0; i < files + sockets; ++i) {
      const std::string target = i < files ? "/etc/passwd" : "socket:[" + std::to_string(i) + "]";
      ASSERT_EQ(::symlink(target.c_str(), (folder + "/" + std::to_string(i)).c_str()), 0);
    }
  }
  void addThread(int tid, const std::string& stat) {
    write("proc/" + std::to_string(tid) + "/stat", stat);
  }
  berth_stats read(const CgroupLayout& layout, uint32_t wanted, pid_t first = 0) {
    berth_stats stats{};
    readTasks(layout, "/c", first, wanted, stats, root_ + "/proc");
    return stats;
  }
};

TEST_F(TasksTest, DescriptorsOfAllProcessesAreCounted) {
  write("c/cgroup.procs", "10\n11\n");
  write("c/below/cgroup.procs", "12\n");
  addDescriptors(10, 3, 2);
  addDescriptors(11, 1, 0);
  addDescriptors(12, 0, 4);
  write("proc/10/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max processes             95000                95000                processes \n"
        "Max open files            1024                 524288               files     \n");
  const berth_stats stats = read(unified(), BERTH_STATS_DESCRIPTORS | BERTH_STATS_SOCKETS, 10);
  EXPECT_EQ(stats.present, uint32_t{BERTH_STATS_DESCRIPTORS | BERTH_STATS_SOCKETS});
  EXPECT_EQ(stats.file_descriptors, 10u);
  EXPECT_EQ(stats.sockets, 6u);
  EXPECT_EQ(stats.open_files_limit, 1024u);
}

TEST_F(TasksTest, ThreadsByTheirStates) {
  write("c/cgroup.threads", "10\n11\n12\n13\n14\n15\n16\n");
  addThread(10, "10 (sh) R 1 2 3");
  addThread(11, "11 (a) b) S) S 1 2 3");  // a name may hold anything
  addThread(12, "12 (x) D 1 2 3");
  addThread(13, "13 (x) T 1 2 3");
  addThread(14, "14 (x) Z 1 2 3");
  addThread(15, "15 (x");  // cut off; 16 has ended meanwhile
  const berth_stats stats = read(unified(), BERTH_STATS_TASKS);
  EXPECT_EQ(stats.present, uint32_t{BERTH_STATS_TASKS});
  EXPECT_EQ(stats.tasks_running, 1u);
  EXPECT_EQ(stats.tasks_sleeping, 1u);
  EXPECT_EQ(stats.tasks_uninterruptible, 1u);
  EXPECT_EQ(stats.tasks_stopped, 1u);
}

TEST_F(TasksTest, OnV1ThreadsAreInAnotherFile) {
  write("pids/c/tasks", "10\n");
  addThread(10, "10 (sh) S 1 2 3");
  EXPECT_EQ(read(hybrid(), BERTH_STATS_TASKS).tasks_sleeping, 1u);
}

TEST_F(TasksTest, NothingIsLookedAtThatNobodyWants) {
  write("c/cgroup.procs", "10\n");
  addDescriptors(10, 1, 1);
  EXPECT_EQ(read(unified(), ~uint32_t{BERTH_STATS_ON_REQUEST}).present, 0u);
  EXPECT_EQ(read(unified(), BERTH_STATS_DESCRIPTORS).present, uint32_t{BERTH_STATS_DESCRIPTORS});
}

TEST_F(TasksTest, TooManyThreadsAreNotLookedAtOneByOne) {
  std::string list;
  for (int tid = 1; tid <= 5000; ++tid) list += std::to_string(tid) + "\n";
  write("c/cgroup.threads", list);
  EXPECT_EQ(read(unified(), BERTH_STATS_TASKS).present, 0u);
}

TEST_F(TasksTest, ACgroupThatIsGoneHasNone) {
  EXPECT_EQ(read(unified(), ~uint32_t{0}).present, 0u);
}

}  // namespace
}  // namespace berth::runc
