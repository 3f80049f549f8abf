// What the plugin writes down, reads from a spec and plans to write to cgroups.
#include <cstdlib>
#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/recorded_versions.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "bundle.hpp"
#include "container_update.hpp"
#include "options.hpp"
#include "pod_resources.hpp"
#include "records.hpp"

namespace berth::runc {
namespace {

using ::testing::HasSubstr;

class Records : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-records-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    pod_ = {.id = "pod",
            .directory = pattern,
            .netPin = "/run/netns/x",
            .runtimeBinary = "/usr/sbin/runc",
            .runtimeRoot = "/run/r",
            .runtimeArgs = {"--debug", "--systemd-cgroup"},
            .cgroupParent = "a.slice",
            .driver = CgroupDriver::kSystemd,
            .ownCgroup = true,
            .initPid = 12,
            .initStart = 345};
  }
  void TearDown() override { EXPECT_TRUE(support::removeTree(pod_.directory).ok()); }
  PodRecord pod_;
};

class RecordFixtures : public Records, public ::testing::WithParamInterface<std::string> {
 protected:
  static std::string fixture(const std::string& name) {
    return testing::fixtureOf(GetParam(), name);
  }
  static std::string identityIn(const std::string& text) {
    return support::stringMember(*support::parseJsonObject(text, "fixture"), "id");
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, RecordFixtures,
                         ::testing::ValuesIn(testing::recordedVersions()));

TEST_P(RecordFixtures, ThePodIsRead) {
  const auto pod = loadPodRecord(identityIn(*support::readFile(fixture("pod.json"))), fixture(""));
  ASSERT_TRUE(pod.ok()) << pod.status();
  EXPECT_EQ(pod->netPin, "/run/netns/berth-" + pod->id);
  EXPECT_EQ(pod->runtimeBinary, "/usr/sbin/runc");
  EXPECT_EQ(pod->driver, CgroupDriver::kCgroupfs);
  EXPECT_GT(pod->initPid, 0);
  EXPECT_GT(pod->initStart, 0u);
}

TEST_P(RecordFixtures, TheContainerIsRead) {
  const std::string text = *support::readFile(fixture("container.json"));
  const std::string id = identityIn(text);
  ASSERT_TRUE(support::makeDirectories(pod_.containersDir()).ok());
  ASSERT_TRUE(support::replaceFile(pod_.containersDir() + "/" + id + ".json", text, 0600,
                                   support::Durability::kVisible)
                  .ok());
  const auto loaded = loadContainerRecords(pod_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->damages.empty());
  ASSERT_EQ(loaded->records.size(), 1u);
  EXPECT_EQ(loaded->records[0].id, id);
  EXPECT_THAT(loaded->records[0].bundle, HasSubstr(id));
  EXPECT_THAT(loaded->records[0].cgroup, HasSubstr(id));
}

TEST_F(Records, AContainerOfANewerPluginIsNotTakenForDamage) {
  ASSERT_TRUE(support::makeDirectories(pod_.containersDir()).ok());
  ASSERT_TRUE(support::replaceFile(pod_.containersDir() + "/c.json", R"({"version": 2})", 0600,
                                   support::Durability::kVisible)
                  .ok());
  const absl::Status newer = loadContainerRecords(pod_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(newer)) << newer;
}

TEST_F(Records, OneWithoutAVersionIsDamaged) {
  const absl::Status status = parsePodRecord("pod", "{}").status();
  EXPECT_TRUE(isDamage(status)) << status;
}

TEST_F(Records, PodsComeBackAsTheyWere) {
  ASSERT_TRUE(save(pod_).ok());
  const auto back = loadPodRecord("pod", pod_.directory);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(serialize(*back), serialize(pod_));
  EXPECT_EQ(back->runtimeArgs, pod_.runtimeArgs);
  EXPECT_EQ(back->driver, CgroupDriver::kSystemd);
  EXPECT_EQ(back->initStart, 345u);
  EXPECT_TRUE(absl::IsNotFound(loadPodRecord("pod", "/nowhere").status()));
}

TEST_F(Records, OtherVersionsAndGarbageAreRefused) {
  EXPECT_TRUE(isDamage(parsePodRecord("x", "{").status()));
  // A later version is no damage: whoever wrote it can read it.
  EXPECT_TRUE(absl::IsFailedPrecondition(parsePodRecord("x", R"({"version": 2})").status()));
  const auto incomplete = parsePodRecord("x", R"({"version": 1, "id": "x"})");
  EXPECT_TRUE(isDamage(incomplete.status()));
  EXPECT_THAT(std::string(incomplete.status().message()), HasSubstr("directory"));
}

// A folder that was put in another's place.
TEST_F(Records, APodsRecordIsOfItsName) {
  ASSERT_TRUE(save(pod_).ok());
  const absl::Status other = loadPodRecord("other", pod_.directory).status();
  EXPECT_TRUE(isDamage(other)) << other;
  EXPECT_THAT(std::string(other.message()), HasSubstr("pod.json"));
}

// A shortage tells nothing of what there is.
TEST_F(Records, WhatCannotBeReadIsNoDamage) {
  ASSERT_TRUE(support::makeDirectories(pod_.containersDir()).ok());
  ASSERT_TRUE(save(pod_).ok());
  ASSERT_TRUE(save(pod_, {.id = "c1", .bundle = "/b1", .cgroup = "/p/c1"}).ok());
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto containers = loadContainerRecords(pod_);
  const auto pod = loadPodRecord("pod", pod_.directory);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(containers.status())) << containers.status();
  EXPECT_TRUE(absl::IsResourceExhausted(pod.status())) << pod.status();
}

TEST_F(Records, DamagedContainerRecordsDoNotHideTheOthers) {
  ASSERT_TRUE(support::makeDirectories(pod_.containersDir()).ok());
  ASSERT_TRUE(save(pod_, {.id = "c1", .bundle = "/b1", .cgroup = "/p/c1"}).ok());
  ASSERT_TRUE(save(pod_, {.id = "c2", .bundle = "/b2", .cgroup = "/p/c2"}).ok());
  ASSERT_TRUE(support::replaceFile(pod_.containersDir() + "/c1.json", "{\"ver", 0600,
                                   support::Durability::kVisible)
                  .ok());
  const LoadedContainers loaded = *loadContainerRecords(pod_);
  ASSERT_EQ(loaded.records.size(), 2u);
  EXPECT_EQ(loaded.records[1].id, "c2");
  EXPECT_EQ(loaded.records[1].bundle, "/b2");
  EXPECT_EQ(loaded.records[1].cgroup, "/p/c2");
  // It is named, and where it runs is known all the same.
  ASSERT_EQ(loaded.damages.size(), 1u);
  EXPECT_THAT(std::string(loaded.damages[0].why.message()), HasSubstr("containers/c1.json"));
  EXPECT_EQ(loaded.records[0].id, "c1");
  EXPECT_EQ(loaded.records[0].bundle, "");
  EXPECT_EQ(loaded.records[0].cgroup, "/a.slice/berth-c1.scope");
  EXPECT_TRUE(forget(pod_, "c2").ok());
  EXPECT_TRUE(forget(pod_, "c2").ok());
  EXPECT_TRUE(forget(pod_, "c1").ok());
  EXPECT_TRUE(loadContainerRecords(pod_)->records.empty());
}

TEST_F(Records, AContainersRecordIsOfItsName) {
  ASSERT_TRUE(support::makeDirectories(pod_.containersDir()).ok());
  ASSERT_TRUE(save(pod_, {.id = "c1", .bundle = "/b1", .cgroup = "/p/c1"}).ok());
  ASSERT_EQ(::rename((pod_.containersDir() + "/c1.json").c_str(),
                     (pod_.containersDir() + "/c9.json").c_str()),
            0);
  const LoadedContainers loaded = *loadContainerRecords(pod_);
  ASSERT_EQ(loaded.records.size(), 1u);
  EXPECT_EQ(loaded.records[0].id, "c9");
  EXPECT_EQ(loaded.damages.size(), 1u);
}

PodRecord cgroupfsPod() {
  return {.id = "pod", .directory = "/d", .cgroupParent = "/kubepods/podx"};
}

absl::StatusOr<BundleFacts> read(const PodRecord& pod, std::string_view spec,
                                 const RuntimeFeatures& runtime = {}) {
  return readBundle({.pod = pod,
                     .runtime = runtime,
                     .container = "c1",
                     .directory = "/run/c1/bundle",
                     .spec = spec});
}

TEST(ReadBundle, TakesTheSpecAsItIs) {
  const auto facts = read(cgroupfsPod(), R"({
    "process": {"terminal": true, "consoleSize": {"height": 24, "width": 100000}},
    "linux": {"cgroupsPath": "/kubepods/podx/c1"}})");
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->cgroup, "/kubepods/podx/c1");
  EXPECT_TRUE(facts->terminal);
  EXPECT_EQ(facts->consoleHeight, 24);
  EXPECT_EQ(facts->consoleWidth, 65535);
  EXPECT_EQ(facts->corrected, "");
}

TEST(ReadBundle, MakesTheCgroupDefinite) {
  const auto missing = read(cgroupfsPod(), R"({"process": {}})");
  ASSERT_TRUE(missing.ok()) << missing.status();
  EXPECT_EQ(missing->cgroup, "/kubepods/podx/c1");
  EXPECT_THAT(missing->corrected, HasSubstr(R"("cgroupsPath":"/kubepods/podx/c1")"));
  const auto relative = read(cgroupfsPod(), R"({"process": {}, "linux": {"cgroupsPath": "x/y"}})");
  ASSERT_TRUE(relative.ok());
  EXPECT_EQ(relative->cgroup, "/x/y");
  EXPECT_THAT(relative->corrected, HasSubstr(R"("cgroupsPath":"/x/y")"));
}

TEST(ReadBundle, ProcessesLieInTheScopeItself) {
  PodRecord pod = cgroupfsPod();
  pod.cgroupParent = "kubepods.slice";
  pod.driver = CgroupDriver::kSystemd;
  const auto facts =
      read(pod, R"({"process": {}, "linux": {"cgroupsPath": "kubepods.slice:berth:c1"}})");
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->cgroup, "/kubepods.slice/berth-c1.scope");
  EXPECT_THAT(facts->corrected, HasSubstr(R"("run.oci.systemd.subgroup":"")"));
  // Whoever asks for one gets it.
  const auto asked = read(pod, R"({"process": {},
    "annotations": {"run.oci.systemd.subgroup": "own"},
    "linux": {"cgroupsPath": "kubepods.slice:berth:c1"}})");
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(asked->corrected, "");
}

TEST(ReadBundle, TellsCrunOfBindsInUserNamespaces) {
  const char* const spec = R"({"process": {}, "linux": {"cgroupsPath": "/c1",
    "namespaces": [{"type": "user", "path": "/x"}]},
    "mounts": [{"destination": "/d", "source": "/proc", "options": ["rbind"]}]})";
  EXPECT_EQ(read(cgroupfsPod(), spec)->corrected, "");
  RuntimeFeatures crun;
  parseVersion("crun version 1.9\n", crun);
  EXPECT_THAT(read(cgroupfsPod(), spec, crun)->corrected, HasSubstr(R"(["rbind","rslave"])"));
}

TEST(ReadBundle, NamesWhatIsWrong) {
  EXPECT_TRUE(absl::IsInvalidArgument(read(cgroupfsPod(), "[]").status()));
  EXPECT_THAT(std::string(read(cgroupfsPod(), "{}").status().message()), HasSubstr("process"));
  const auto up = read(cgroupfsPod(), R"({"process": {}, "linux": {"cgroupsPath": "/a/../.."}})");
  EXPECT_THAT(std::string(up.status().message()), HasSubstr("cgroupsPath"));
}

TEST_F(Records, ResourcesAreMergedIntoTheBundle) {
  const std::string config = pod_.directory + "/config.json";
  ASSERT_TRUE(support::replaceFile(config,
                                   R"({"linux": {"resources": {"memory": {"limit": 5, "swap": 6},
                                              "pids": {"limit": 1},
                                              "hugepageLimits": [{"pageSize": "2MB", "limit": 1},
                                                                 {"pageSize": "1GB", "limit": 2}]}},
                      "process": {"oomScoreAdj": 1}})",
                                   0600, support::Durability::kVisible)
                  .ok());
  const auto change = parseResourceChange(
      R"({"memory": {"limit": 9}, "cpu": {"shares": 2}, "oomScoreAdj": -7,
          "hugepageLimits": [{"pageSize": "1GB", "limit": 8}, {"pageSize": "64KB", "limit": 3}]})");
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_EQ(boost::json::value(change->forRuntime),
            *support::parseJson(R"({"memory": {"limit": 9}, "cpu": {"shares": 2}})", "expected"));
  ASSERT_TRUE(changeBundle(pod_.directory, *change).ok());
  EXPECT_EQ(*support::parseJson(*support::readFile(config), "config"),
            *support::parseJson(
                R"({"linux": {"resources": {"memory": {"limit": 9, "swap": 6},
                                            "pids": {"limit": 1}, "cpu": {"shares": 2},
                                            "hugepageLimits": [{"pageSize": "2MB", "limit": 1},
                                                               {"pageSize": "1GB", "limit": 8},
                                                               {"pageSize": "64KB", "limit": 3}]}},
                    "process": {"oomScoreAdj": -7}})",
                "expected"));
  EXPECT_TRUE(absl::IsInvalidArgument(parseResourceChange("[]").status()));
}

TEST_F(Records, HugePagesHaveFilesOfTheirOwn) {
  const std::string cgroup = pod_.directory + "/cgroups/a/b";
  ASSERT_TRUE(support::makeDirectories(cgroup).ok());
  const auto limits = [](const char* text) {
    return support::parseJson(text, "limits")->as_array();
  };
  const auto written = [&](const std::string& file) {
    const auto text = support::readFile(cgroup + "/" + file);
    return text.ok() ? *text : text.status().ToString();
  };
  for (const auto& [type, file] :
       {std::pair("cgroup2 cgroup2 rw", "hugetlb.2MB.max"),
        std::pair("cgroup cgroup rw,hugetlb", "hugetlb.2MB.limit_in_bytes")}) {
    const auto layout =
        CgroupLayout::parse("1 1 0:1 / " + pod_.directory + "/cgroups rw - " + type + "\n");
    ASSERT_TRUE(layout.ok()) << layout.status();
    ASSERT_TRUE(
        support::replaceFile(cgroup + "/" + file, "", 0600, support::Durability::kVisible).ok());
    EXPECT_TRUE(
        changeHugepages(*layout, "/a/b", limits(R"([{"pageSize": "2MB", "limit": 4194304}])"))
            .ok());
    EXPECT_EQ(written(file), "4194304");
    const absl::Status missing =
        changeHugepages(*layout, "/a/b", limits(R"([{"pageSize": "3MB", "limit": 0}])"));
    EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
    EXPECT_THAT(std::string(missing.message()), HasSubstr("huge pages of 3MB"));
  }
}

TEST(Options, HaveDefaultsAndAreChecked) {
  const auto defaults = parseOptions("{}", "/run/here");
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->path, "/usr/sbin/runc");
  EXPECT_EQ(defaults->root, "/run/here");
  EXPECT_EQ(defaults->netnsDirectory, "/run/netns");
  for (const char* bad : {R"({"root": "here"})", R"({"path": ""})", R"({"monitor": "m"})"}) {
    const auto refused = parseOptions(bad, "/run/here");
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << bad;
  }
  const auto declared = support::parseJson(kOptionsDeclaration, "declaration");
  ASSERT_TRUE(declared.ok()) << declared.status();
  for (const auto& option : declared->as_array()) {
    EXPECT_TRUE(option.as_object().contains("default"));
    EXPECT_TRUE(option.as_object().contains("help"));
  }
}

TEST(PodLimits, OverheadIsAdded) {
  const auto pod = parsePodLimits(
      R"({"memory": {"limit": 100}, "cpu": {"quota": 50000, "period": 100000, "shares": 512}})");
  const auto overhead =
      parsePodLimits(R"({"memory": {"limit": 11}, "cpu": {"quota": 10000, "period": 50000}})");
  ASSERT_TRUE(pod.ok() && overhead.ok());
  const PodLimits total = addOverhead(*pod, *overhead);
  EXPECT_EQ(total.memory, 111);
  EXPECT_EQ(total.quota, 70000);
  EXPECT_EQ(total.shares, 512);
  EXPECT_FALSE(total.pids);
  const auto endless = parsePodLimits(R"({"memory": {"limit": -1}})");
  EXPECT_EQ(addOverhead(*endless, *overhead).memory, -1);
  EXPECT_TRUE(
      absl::IsInvalidArgument(parsePodLimits(R"({"unified": {"../memory.max": "1"}})").status()));
}

TEST(PodLimits, BecomeControlFiles) {
  const auto limits = parsePodLimits(
      R"({"memory": {"limit": -1}, "cpu": {"quota": 20000, "shares": 1024}, "pids": {"limit": 7},
          "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
          "unified": {"memory.high": "5"}})");
  ASSERT_TRUE(limits.ok());
  const auto text = [&](std::string_view mounts) {
    const auto layout = CgroupLayout::parse(mounts);
    std::string all;
    for (const CgroupWrite& write : planWrites(*layout, "/p", *limits)) {
      all += write.path + "=" + write.text + ";";
    }
    return all;
  };
  EXPECT_EQ(text("1 0 0:1 / /v2 rw - cgroup2 cgroup2 rw\n"),
            "/v2/p/memory.max=max;/v2/p/cpu.weight=39;/v2/p/cpu.max=20000 100000;"
            "/v2/p/hugetlb.2MB.max=4194304;/v2/p/memory.high=5;/v2/p/pids.max=7;");
  EXPECT_EQ(text("1 0 0:1 / /m rw - cgroup cgroup rw,memory\n"
                 "1 0 0:1 / /c rw - cgroup cgroup rw,cpu\n"),
            "/m/p/memory.limit_in_bytes=-1;/c/p/cpu.shares=1024;/c/p/cpu.cfs_quota_us=20000;");
}

}  // namespace
}  // namespace berth::runc
