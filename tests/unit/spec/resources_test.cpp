#include "engine/spec/resources.hpp"

#include "fixture.hpp"

namespace berth::spec {
namespace {

using runtime::v1::LinuxContainerResources;
using test::invalid;
using testing::ElementsAre;
using testing::IsEmpty;

LinuxContainerResources resources(const char* text) {
  return test::parse<LinuxContainerResources>(text);
}

struct Resources : testing::Test {
  boost::json::value make(const char* text) {
    const auto json = resourcesJson(resources(text), host, warnings);
    EXPECT_TRUE(json.ok()) << json.status();
    return json.ok() ? boost::json::value(*json) : boost::json::value();
  }
  absl::StatusOr<boost::json::object> attempt(const char* text) {
    return resourcesJson(resources(text), host, warnings);
  }

  common::HostFacts host = test::richHost();
  Warnings warnings;
};

TEST_F(Resources, NothingIsNothing) {
  EXPECT_EQ(make(""), test::json("{}"));
}

TEST_F(Resources, EverythingIsPassedOn) {
  EXPECT_EQ(make("cpu_period: 100000 cpu_quota: 50000 cpu_shares: 512 cpuset_cpus: '0-3,7' "
                 "cpuset_mems: '0' memory_limit_in_bytes: 1000 memory_swap_limit_in_bytes: 1500 "
                 "hugepage_limits { page_size: '2MB' limit: 4194304 } "
                 "hugepage_limits { page_size: '1GB' } "
                 "unified { key: 'memory.high' value: '900' }"),
            test::json(R"({"cpu": {"period": 100000, "quota": 50000, "shares": 512,
                                   "cpus": "0-3,7", "mems": "0"},
                           "memory": {"limit": 1000, "swap": 1500},
                           "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304},
                                              {"pageSize": "1GB", "limit": 0}],
                           "unified": {"memory.high": "900"}})"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Resources, NoSwapUnlessAskedFor) {
  EXPECT_EQ(make("memory_limit_in_bytes: 1000"),
            test::json(R"({"memory": {"limit": 1000, "swap": 1000}})"));
  EXPECT_EQ(make("memory_limit_in_bytes: 1000 memory_swap_limit_in_bytes: -1"),
            test::json(R"({"memory": {"limit": 1000, "swap": -1}})"));
  EXPECT_EQ(make("memory_limit_in_bytes: -1"),
            test::json(R"({"memory": {"limit": -1, "swap": -1}})"));
  host.swapAccounting = false;
  EXPECT_EQ(make("memory_limit_in_bytes: 1000"), test::json(R"({"memory": {"limit": 1000}})"));
  EXPECT_THAT(warnings, IsEmpty());
  EXPECT_EQ(make("memory_limit_in_bytes: 1000 memory_swap_limit_in_bytes: 2000"),
            test::json(R"({"memory": {"limit": 1000}})"));
  EXPECT_THAT(warnings, ElementsAre(test::warns("swap is not accounted")));
}

TEST_F(Resources, SharesHaveAMinimum) {
  EXPECT_EQ(make("cpu_shares: 1"), test::json(R"({"cpu": {"shares": 2}})"));
  EXPECT_EQ(make("cpu_shares: 999999"), test::json(R"({"cpu": {"shares": 262144}})"));
  EXPECT_EQ(make("cpu_quota: -1"), test::json(R"({"cpu": {"quota": -1}})"));
}

TEST_F(Resources, WhatTheHostLacksIsLeftOut) {
  host.hugetlb = false;
  host.cgroupMode = common::CgroupMode::kHybrid;
  // The kubelet sends limits of 0 for every size there is.
  EXPECT_EQ(make("hugepage_limits { page_size: '2MB' }"), test::json("{}"));
  EXPECT_THAT(warnings, IsEmpty());
  EXPECT_EQ(make("hugepage_limits { page_size: '2MB' limit: 1 } "
                 "unified { key: 'memory.high' value: '1' }"),
            test::json("{}"));
  EXPECT_THAT(warnings, ElementsAre(test::warns("no hugetlb controller"), test::warns("unified")));
}

TEST_F(Resources, NonsenseIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"cpu_period: -1", "cpu_period -1 is less than 0"},
      {"cpu_period: 999", "cpu_period 999 is out of range, which is 1000 to 1000000"},
      {"cpu_period: 1000001", "cpu_period 1000001"},
      {"cpu_quota: 999", "cpu_quota 999 is less than 1000"},
      {"cpuset_cpus: '3-1'", "cpuset_cpus \"3-1\""},
      {"cpu_quota: -2", "cpu_quota -2"},
      {"cpu_shares: -5", "cpu_shares -5"},
      {"cpuset_cpus: '0-'", "cpuset_cpus \"0-\""},
      {"cpuset_cpus: 'a'", "cpuset_cpus \"a\""},
      {"cpuset_cpus: '0,,1'", "cpuset_cpus"},
      {"cpuset_cpus: '0-1-2'", "cpuset_cpus"},
      {"cpuset_mems: '0 1'", "cpuset_mems \"0 1\""},
      {"memory_limit_in_bytes: -2", "memory_limit_in_bytes -2"},
      {"memory_swap_limit_in_bytes: -2", "memory_swap_limit_in_bytes -2"},
      {"memory_limit_in_bytes: 10 memory_swap_limit_in_bytes: 9", "is less than memory_limit"},
      {"hugepage_limits { page_size: '2' }", "page_size \"2\""},
      {"hugepage_limits { page_size: 'MB' }", "page_size \"MB\""},
      {"hugepage_limits { page_size: '02MB' }", "page_size \"02MB\""},
      {"hugepage_limits { page_size: '2MB/..' }", "page_size"},
      {"unified { key: '../memory.max' value: '1' }", "unified"},
      {"unified { key: 'max' value: '1' }", "unified: \"max\""},
      {"unified { key: '.x' value: '1' }", "unified"},
      {"unified { key: 'memory.high' value: '1\\000' }", "unified memory.high contains a zero"}};
  for (const auto& [text, message] : cases) EXPECT_THAT(attempt(text), invalid(message)) << text;
}

TEST(ResourceUpdate, ReplacesWhatIsSet) {
  const LinuxContainerResources merged = mergedResources(
      resources("cpu_shares: 10 cpu_quota: 20 cpuset_cpus: '0' memory_limit_in_bytes: 5 "
                "hugepage_limits { page_size: '2MB' limit: 1 } "
                "hugepage_limits { page_size: '1GB' limit: 2 } "
                "unified { key: 'a.b' value: '1' } unified { key: 'c.d' value: '2' }"),
      resources("cpu_quota: 30 cpuset_cpus: '1' memory_limit_in_bytes: 6 "
                "hugepage_limits { page_size: '1GB' limit: 7 } "
                "hugepage_limits { page_size: '64KB' limit: 8 } "
                "unified { key: 'c.d' value: '9' }"));
  EXPECT_EQ(merged.cpu_shares(), 10);
  EXPECT_EQ(merged.cpu_quota(), 30);
  EXPECT_EQ(merged.cpuset_cpus(), "1");
  EXPECT_EQ(merged.memory_limit_in_bytes(), 6);
  ASSERT_EQ(merged.hugepage_limits_size(), 3);
  EXPECT_EQ(merged.hugepage_limits(0).limit(), 1u);
  EXPECT_EQ(merged.hugepage_limits(1).limit(), 7u);
  EXPECT_EQ(merged.hugepage_limits(2).page_size(), "64KB");
  EXPECT_EQ(merged.unified().at("a.b"), "1");
  EXPECT_EQ(merged.unified().at("c.d"), "9");
}

TEST(ResourceUpdate, OfMemoryForgetsTheLimitOfSwap) {
  const LinuxContainerResources current =
      resources("memory_limit_in_bytes: 5 memory_swap_limit_in_bytes: 9");
  EXPECT_EQ(mergedResources(current, resources("cpu_shares: 7")).memory_swap_limit_in_bytes(), 9);
  EXPECT_EQ(
      mergedResources(current, resources("memory_limit_in_bytes: 6")).memory_swap_limit_in_bytes(),
      0);
  EXPECT_EQ(
      mergedResources(current, resources("memory_limit_in_bytes: 6 memory_swap_limit_in_bytes: 8"))
          .memory_swap_limit_in_bytes(),
      8);
}

struct ResourceChange : Resources {
  absl::StatusOr<boost::json::object> change(const char* update) {
    return resourceChange(resources("memory_limit_in_bytes: 1000 oom_score_adj: 100"),
                          resources(update), host, warnings);
  }
};

TEST_F(ResourceChange, PassesOnWhatIsSet) {
  EXPECT_EQ(*change("cpu_quota: 20000 cpuset_cpus: '1'"),
            test::json(R"({"cpu": {"quota": 20000, "cpus": "1"}})"));
  EXPECT_EQ(*change(""), test::json("{}"));
  // Swap is counted with the memory that the container has.
  EXPECT_EQ(*change("memory_swap_limit_in_bytes: 1500"),
            test::json(R"({"memory": {"limit": 1000, "swap": 1500}})"));
  EXPECT_THAT(change("memory_swap_limit_in_bytes: 500"), invalid("is less than memory_limit"));
  EXPECT_THAT(resourceChange({}, resources("memory_swap_limit_in_bytes: 5"), host, warnings),
              invalid("without memory_limit_in_bytes"));
}

TEST_F(ResourceChange, TheOomScoreIsOneOfThem) {
  EXPECT_EQ(*change("oom_score_adj: 100"), test::json("{}"));
  EXPECT_EQ(*change("oom_score_adj: -5"), test::json(R"({"oomScoreAdj": -5})"));
  EXPECT_THAT(change("oom_score_adj: 5000"), invalid("oom_score_adj 5000"));
  host.capabilities = 0;
  EXPECT_EQ(*change("oom_score_adj: -5"), test::json(R"({"oomScoreAdj": 0})"));
  EXPECT_THAT(warnings, ElementsAre(test::warns("is raised", true)));
}

TEST_F(ResourceChange, WhatCannotBeChangedIsRefused) {
  host.hugetlb = false;
  host.swapAccounting = false;
  host.cgroupMode = common::CgroupMode::kHybrid;
  EXPECT_THAT(change("hugepage_limits { page_size: '2MB' limit: 1 } "
                     "unified { key: 'memory.high' value: '1' }"),
              testing::AllOf(test::unmet("hugepage_limits"), test::unmet("unified is set")));
  EXPECT_THAT(change("memory_limit_in_bytes: 5 memory_swap_limit_in_bytes: 6"),
              test::unmet("memory_swap_limit_in_bytes"));
  // Nothing is lost by these.
  EXPECT_EQ(*change("hugepage_limits { page_size: '2MB' } memory_limit_in_bytes: 5 "
                    "memory_swap_limit_in_bytes: 5"),
            test::json(R"({"memory": {"limit": 5}})"));
}

TEST(OomScore, IsClampedOnlyWhereItMustBe) {
  common::HostFacts host = test::richHost();
  host.oomScoreAdj = -100;
  Warnings warnings;
  EXPECT_EQ(*oomScoreAdj(-998, host, warnings), -998);
  host.capabilities = 0;
  EXPECT_EQ(*oomScoreAdj(1000, host, warnings), 1000);
  EXPECT_EQ(*oomScoreAdj(-100, host, warnings), -100);
  EXPECT_THAT(warnings, IsEmpty());
  EXPECT_EQ(*oomScoreAdj(-998, host, warnings), -100);
  EXPECT_THAT(warnings, ElementsAre(test::warns("oom_score_adj -998 is raised", true)));
  EXPECT_THAT(oomScoreAdj(1001, host, warnings), invalid("oom_score_adj 1001 is out of range"));
  EXPECT_THAT(oomScoreAdj(-1001, host, warnings), invalid("out of range"));
}

TEST(Rlimits, AreClampedToTheDaemons) {
  common::HostFacts host = test::richHost();
  host.maximumOpenFiles = 100000;
  Warnings warnings;
  const std::vector<Ulimit> limits = {{"nofile", 10, 200000}, {"RLIMIT_CORE", 5, 500}};
  EXPECT_EQ(boost::json::value(*rlimitsJson(limits, host, warnings)),
            test::json(R"([{"type": "RLIMIT_CORE", "hard": 500, "soft": 5},
                           {"type": "RLIMIT_NOFILE", "hard": 100000, "soft": 10}])"));
  EXPECT_THAT(warnings, ElementsAre(test::warns("RLIMIT_NOFILE 200000 is lowered to 100000")));
  host.capabilities = 0;
  warnings.clear();
  EXPECT_EQ(boost::json::value(
                *rlimitsJson({{"nofile", 10, 20}, {"NOFILE", 8000, 9000}}, host, warnings)),
            test::json(R"([{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}])"));
  EXPECT_THAT(warnings, ElementsAre(test::warns("RLIMIT_NOFILE 9000 is lowered to 4096", true)));
}

TEST(Rlimits, NonsenseIsRefused) {
  const common::HostFacts host = test::richHost();
  Warnings warnings;
  EXPECT_THAT(rlimitsJson({{"files", 1, 1}}, host, warnings), invalid("ulimit \"files\""));
  EXPECT_THAT(rlimitsJson({{"nofile", 2, 1}}, host, warnings), invalid("soft limit 2 is above"));
}

}  // namespace
}  // namespace berth::spec
