// A pod's limits in systemd's terms.
#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cgroup_fixture.hpp"
#include "container_update.hpp"
#include "unit_properties.hpp"

namespace berth::runc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

using Bits = std::vector<uint8_t>;

constexpr char kEverything[] = R"({
  "memory": {"limit": 1048576, "swap": 1572864},
  "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0-1,9", "mems": "0"},
  "pids": {"limit": 7},
  "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
  "unified": {"memory.high": "4096", "memory.oom.group": "1", "pids.max": "max",
              "cpu.max": "20000 40000", "cpuset.mems": "1"}})";

// Each member goes to systemd or to a file; none is lost.
TEST(UnitLimits, OfCgroupV2) {
  const auto limits = unitLimits(*parsePodLimits(kEverything), CgroupMode::kUnified);
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_THAT(
      limits->properties,
      UnorderedElementsAre(
          UnitProperty{"MemoryMax", 1048576u}, UnitProperty{"MemorySwapMax", 524288u},
          UnitProperty{"CPUWeight", 39u}, UnitProperty{"CPUQuotaPerSecUSec", 500000u},
          UnitProperty{"CPUQuotaPeriodUSec", 100000u}, UnitProperty{"TasksMax", 7u},
          UnitProperty{"AllowedCPUs", Bits{0x03, 0x02}},
          UnitProperty{"AllowedMemoryNodes", Bits{0x01}}, UnitProperty{"MemoryHigh", 4096u},
          UnitProperty{"TasksMax", kNoUnitLimit}, UnitProperty{"CPUQuotaPerSecUSec", 500000u},
          UnitProperty{"CPUQuotaPeriodUSec", 40000u},
          UnitProperty{"AllowedMemoryNodes", Bits{0x02}}));
  EXPECT_THAT(limits->rest.unified, ElementsAre(std::pair("memory.oom.group", "1")));
  EXPECT_EQ(limits->rest.hugepages.at("2MB"), 4194304);
  EXPECT_FALSE(limits->rest.memory || limits->rest.pids || limits->rest.quota);
  EXPECT_TRUE(limits->rest.cpus.empty() && limits->rest.mems.empty());
}

TEST(UnitLimits, OfCgroupV1) {
  const auto limits = unitLimits(
      *parsePodLimits(R"({"memory": {"limit": -1}, "cpu": {"shares": 2, "cpus": "3", "mems": "0"},
                          "hugepageLimits": [{"pageSize": "1GB", "limit": 0}]})"),
      CgroupMode::kHybrid);
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_THAT(limits->properties, ElementsAre(UnitProperty{"MemoryLimit", kNoUnitLimit},
                                              UnitProperty{"CPUShares", 2u}));
  EXPECT_EQ(limits->rest.cpus, "3");
  EXPECT_EQ(limits->rest.mems, "0");
  EXPECT_EQ(limits->rest.hugepages.at("1GB"), 0);
}

// What no annotation can say is left to the runtime.
TEST(UnitLimits, AsAnnotations) {
  const std::string bundle = support::strCat(::testing::TempDir(), "/berth-annotated-bundle");
  ASSERT_TRUE(support::makeDirectories(bundle).ok());
  const std::string config = bundle + "/config.json";
  ASSERT_TRUE(support::replaceFile(config,
                                   support::strCat(R"({"annotations": {"a": "b"}, "linux": {)",
                                                   R"("resources": )", kEverything, "}}"),
                                   0600, support::Durability::kVisible)
                  .ok());
  for (int repeat = 0; repeat < 2; ++repeat) {
    const absl::Status status = annotateUnit(bundle, CgroupMode::kUnified);
    ASSERT_TRUE(status.ok()) << status;
  }
  const auto document = support::parseJsonObject(*support::readFile(config), config);
  ASSERT_TRUE(document.ok()) << document.status();
  std::map<std::string, std::string> annotations;
  for (const auto& [key, value] : *support::objectMember(*document, "annotations"))
    annotations.emplace(key, value.as_string());
  EXPECT_THAT(
      annotations,
      ::testing::AllOf(
          ::testing::Contains(std::pair("a", "b")),
          ::testing::Contains(std::pair("org.systemd.property.MemoryMax", "uint64 1048576")),
          ::testing::Contains(std::pair("org.systemd.property.MemoryHigh", "uint64 4096")),
          ::testing::Not(::testing::Contains(::testing::Key("org.systemd.property.AllowedCPUs")))));
  const auto rest = settingsBesideUnit(bundle);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre(std::pair("memory.oom.group", "1")));
  EXPECT_TRUE(support::removeTree(bundle).ok());
}

TEST(UnitLimits, SetsAreChecked) {
  for (const char* set : {"x", "3-1", "0-", "1,,2", "99999999", "-1"}) {
    PodLimits limits;
    limits.cpus = set;
    EXPECT_TRUE(absl::IsInvalidArgument(unitLimits(limits, CgroupMode::kUnified).status())) << set;
  }
}

using PodResources = CgroupFixture;

// Silence would be taken for success.
TEST_F(PodResources, UnifiedMembersNeedCgroupV2) {
  const PodRecord pod{.id = "pod", .directory = "/d", .cgroupParent = "/p", .ownCgroup = true};
  const absl::Status status =
      setPodResources(hybrid(), pod, R"({"unified": {"memory.high": "1"}})", {});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("memory.high"));
  write("p/memory.high", "max");
  EXPECT_TRUE(setPodResources(unified(), pod, R"({"unified": {"memory.high": "1"}})", {}).ok());
}

}  // namespace
}  // namespace berth::runc
