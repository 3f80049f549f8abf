// The leases of the example network-veth.
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "../../../sdk/examples/network-veth/leases.hpp"
#include "../support/temporary_directory.hpp"

namespace vethnet {
namespace {

// The instance that is replaced and the one that replaces it have the same folder.
TEST(VethLeases, InstancesBesideEachOtherGiveNoAddressTwice) {
  const ::berth::testing::TemporaryDirectory directory;
  const Range range = *Range::parse("10.77.0.0/23");
  constexpr int kPods = 100;
  const auto takeAll = [&](const std::string& prefix) {
    Leases leases(directory / "addresses");
    for (int i = 0; i < kPods; ++i) {
      uint32_t address = 0;
      EXPECT_TRUE(leases.take(range, prefix + std::to_string(i), address).ok());
    }
  };
  std::thread old(takeAll, "old");
  takeAll("new");
  old.join();
  const std::vector<std::string> pods = Leases(directory / "addresses").pods();
  EXPECT_EQ(std::set<std::string>(pods.begin(), pods.end()).size(), 2u * kPods);
}

}  // namespace
}  // namespace vethnet
