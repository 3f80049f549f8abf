#include <filesystem>
#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "main/examination.hpp"

namespace berth::program {
namespace {

namespace fs = std::filesystem;
using plugins::Finding;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kForward = "sys/net/ipv4/ip_forward";
constexpr const char* kBridge = "sys/net/bridge/bridge-nf-call-iptables";
constexpr const char* kSwaps = "swaps";
constexpr const char* kNoSwap = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

// The kernel's files of a node that lacks nothing, to be changed.
class ExamineNode : public ::testing::Test {
 protected:
  ExamineNode() {
    write(kForward, "1\n");
    write(kBridge, "1\n");
    write(kSwaps, kNoSwap);
  }

  void write(const std::string& name, const std::string& text) const {
    const fs::path path = proc_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void remove(const std::string& name) const { fs::remove(proc_ / name); }

  // The details of what is not there.
  std::map<std::string, std::string> lacks() const {
    std::map<std::string, std::string> found;
    int rows = 0;
    for (const Finding& row : examineNode(proc_.path())) {
      ++rows;
      EXPECT_FALSE(row.detail.empty()) << row.what;
      // An engine without a kubelet may well want none of it.
      EXPECT_NE(row.kind, BERTH_FINDING_REFUSED) << row.what;
      if (row.kind != BERTH_FINDING_OK) found[row.what] = row.detail;
    }
    EXPECT_EQ(rows, 3);
    return found;
  }

  testing::TemporaryDirectory proc_;
};

TEST_F(ExamineNode, LacksNothing) {
  EXPECT_THAT(lacks(), ::testing::IsEmpty());
}

TEST_F(ExamineNode, ForwardsNoPackets) {
  write(kForward, "0\n");
  EXPECT_EQ(lacks().size(), 1u);
  EXPECT_THAT(lacks()["IPv4 forwarding"],
              AllOf(StartsWith("off: "), HasSubstr("net.ipv4.ip_forward=1")));
  remove(kForward);
  EXPECT_EQ(lacks().count("IPv4 forwarding"), 1u);
}

TEST_F(ExamineNode, HidesBridgedPacketsFromIptables) {
  write(kBridge, "0\n");
  EXPECT_EQ(lacks().size(), 1u);
  EXPECT_THAT(lacks()["br_netfilter"], StartsWith("net.bridge.bridge-nf-call-iptables is 0"));
  remove(kBridge);
  EXPECT_EQ(lacks().size(), 1u);
  EXPECT_THAT(lacks()["br_netfilter"], StartsWith("not loaded (modprobe br_netfilter"));
}

TEST_F(ExamineNode, Swaps) {
  write(kSwaps, std::string(kNoSwap) +
                    "/dev/sda2                               partition\t"
                    "999420\t\t0\t\t-2\n/swapfile file\t1024\t0\t-3\n");
  EXPECT_EQ(lacks().size(), 1u);
  EXPECT_THAT(lacks()["swap turned off"], AllOf(StartsWith("/dev/sda2, /swapfile: the kubelet"),
                                                HasSubstr("failSwapOn"), HasSubstr("swapoff -a")));
  // A kernel that knows no swap.
  remove(kSwaps);
  EXPECT_THAT(lacks(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace berth::program
