// OCI specifications for shims.
#include "specs.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::kata {
namespace {

namespace json = boost::json;

PodRecord record(bool namespaces) {
  PodRecord made;
  made.id = "pod";
  made.directory = "/d";
  made.netPin = "/run/netns/x";
  made.hostname = "told";
  made.cgroupParent = "/kubepods/pod1";
  made.namespaces = namespaces;
  return made;
}

PodSpec podSpec() {
  PodSpec spec;
  spec.raw.new_namespaces = BERTH_NAMESPACE_NETWORK | BERTH_NAMESPACE_IPC | BERTH_NAMESPACE_UTS;
  spec.raw.name = str("name");
  spec.sysctls = {{"net.core.somaxconn", "10"}};
  spec.annotations = {{"io.katacontainers.config.hypervisor.default_vcpus", "2"}, {"other", "x"}};
  spec.resources = R"({"cpu": {"quota": 50000, "period": 100000}, "memory": {"limit": 1048576}})";
  spec.overhead = R"({"cpu": {"quota": 25000, "period": 100000}, "memory": {"limit": 4096}})";
  return spec;
}

TEST(SandboxSpec, TellsTheShimWhatItIs) {
  Options options;
  options.root = "/r";
  options.podAnnotations = {"io.katacontainers.*"};
  const auto text = sandboxSpec(podSpec(), record(false), options);
  ASSERT_TRUE(text.ok()) << text.status();
  const json::value spec = json::parse(*text);
  const json::object& annotations = spec.at("annotations").as_object();
  EXPECT_EQ(annotations.at("io.kubernetes.cri.container-type").as_string(), "sandbox");
  EXPECT_EQ(annotations.at("io.kubernetes.cri-o.ContainerType").as_string(), "sandbox");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-id").as_string(), "pod");
  EXPECT_EQ(annotations.at("io.kubernetes.cri-o.SandboxID").as_string(), "pod");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-cpu-quota").as_string(), "50000");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-cpu-period").as_string(), "100000");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-memory").as_string(), "1048576");
  EXPECT_FALSE(annotations.contains("io.kubernetes.cri.sandbox-cpu-shares"));
  EXPECT_EQ(annotations.at("io.kubernetes.cri-o.PodLinuxResources").as_string(),
            R"({"cpu_period":100000,"cpu_quota":50000,"memory_limit_in_bytes":1048576})");
  EXPECT_EQ(annotations.at("io.kubernetes.cri-o.PodLinuxOverhead").as_string(),
            R"({"cpu_period":100000,"cpu_quota":25000,"memory_limit_in_bytes":4096})");
  EXPECT_TRUE(annotations.contains("io.katacontainers.config.hypervisor.default_vcpus"));
  EXPECT_FALSE(annotations.contains("other"));
  EXPECT_EQ(spec.at("hostname").as_string(), "told");
  EXPECT_EQ(spec.at("root").at("path").as_string(), "/r/sandbox");
  EXPECT_EQ(spec.at("linux").at("cgroupsPath").as_string(), "/kubepods/pod1/pod");
  EXPECT_EQ(spec.at("linux").at("sysctl").at("net.core.somaxconn").as_string(), "10");
  const json::array& namespaces = spec.at("linux").at("namespaces").as_array();
  ASSERT_EQ(namespaces.size(), 4u);
  EXPECT_EQ(namespaces[1].at("type").as_string(), "network");
  EXPECT_EQ(namespaces[1].at("path").as_string(), "/run/netns/x");
}

TEST(SandboxSpec, HasWhatTheOperatorGivesAllPods) {
  Options options;
  options.podAnnotations = {"io.katacontainers.*"};
  PodSpec given = podSpec();
  given.defaultAnnotations = {{"other", "of the operator"},
                              {"io.katacontainers.config.hypervisor.default_vcpus", "1"}};
  const json::value spec = json::parse(*sandboxSpec(given, record(false), options));
  const json::object& annotations = spec.at("annotations").as_object();
  // The pod's own, which the shim does not get to see, does not hide it; one that it sees does.
  EXPECT_EQ(annotations.at("other").as_string(), "of the operator");
  EXPECT_EQ(annotations.at("io.katacontainers.config.hypervisor.default_vcpus").as_string(), "2");
}

TEST(SandboxSpec, RefusesResourcesThatAreNone) {
  PodSpec spec = podSpec();
  spec.resources = "{";
  EXPECT_TRUE(absl::IsInvalidArgument(sandboxSpec(spec, record(false), {}).status()));
  spec = podSpec();
  spec.overhead = "[]";
  EXPECT_TRUE(absl::IsInvalidArgument(sandboxSpec(spec, record(false), {}).status()));
}

TEST(Size, IsRefusedWithItsNumbersWhereTheHostIsSmaller) {
  constexpr uint64_t kMebibyte = 1 << 20;
  PodSpec spec = podSpec();
  spec.resources = R"({"memory": {"limit": 104857600}})";
  spec.overhead = R"({"memory": {"limit": 10485760}})";
  EXPECT_TRUE(checkSize(spec, 110 * kMebibyte).ok());
  const absl::Status refused = checkSize(spec, 109 * kMebibyte);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  for (const char* number : {"100 MiB", "10 MiB", "109 MiB"})
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr(number));
  spec.resources = R"({"memory": {"limit": 9223372036854775807}})";
  EXPECT_TRUE(absl::IsFailedPrecondition(checkSize(spec, 109 * kMebibyte)));
  // What has no limit has the shim's own size.
  for (const char* none : {"", "{}", R"({"memory": {"limit": -1}})"}) {
    spec.resources = none;
    EXPECT_TRUE(checkSize(spec, kMebibyte).ok()) << none;
  }
}

constexpr const char* kSpec = R"({"process": {}, "root": {"path": "/here"},
  "linux": {"cgroupsPath": "/c", "namespaces": [{"type": "pid", "path": "/p"},
                                                {"type": "ipc", "path": "/i"}, {"type": "mount"}]}})";

TEST(ContainerSpec, HasBothFamiliesOfAnnotations) {
  const json::value spec = json::parse(*containerSpec(kSpec, record(true), "name", "/shared/c"));
  EXPECT_EQ(spec.at("annotations").at("io.kubernetes.cri.container-type").as_string(), "container");
  EXPECT_EQ(spec.at("annotations").at("io.kubernetes.cri-o.SandboxID").as_string(), "pod");
  EXPECT_EQ(spec.at("root").at("path").as_string(), "/shared/c");
  EXPECT_TRUE(spec.at("linux").at("resources").is_object());
  EXPECT_EQ(spec.at("linux").at("namespaces").at(1).at("path").as_string(), "/i");
}

TEST(ContainerSpec, HasNoPathsOfThisHostInAVirtualMachine) {
  const json::value spec = json::parse(*containerSpec(kSpec, record(false), "name", "/shared/c"));
  const json::array& namespaces = spec.at("linux").at("namespaces").as_array();
  EXPECT_FALSE(namespaces[1].as_object().contains("path"));
  // That containers share one is all that it says.
  EXPECT_TRUE(namespaces[0].as_object().contains("path"));
}

TEST(ContainerSpec, RefusesTheHostsProcessesInAVirtualMachine) {
  constexpr const char* kHostPid =
      R"({"process": {}, "linux": {"cgroupsPath": "/c", "namespaces": [{"type": "mount"}]}})";
  EXPECT_TRUE(
      absl::IsFailedPrecondition(containerSpec(kHostPid, record(false), "", "/c").status()));
  EXPECT_TRUE(containerSpec(kHostPid, record(true), "", "/c").ok());
}

TEST(ContainerSpec, NamesWhatIsMissing) {
  EXPECT_TRUE(absl::IsInvalidArgument(containerSpec("{}", record(true), "", "/c").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      containerSpec(R"({"process": {}})", record(true), "", "/c").status()));
}

TEST(CgroupsPath, FollowsTheDriver) {
  PodRecord pod = record(true);
  EXPECT_EQ(cgroupsPathOf(pod, "c"), "/kubepods/pod1/c");
  pod.cgroupParent = "/";
  EXPECT_EQ(cgroupsPathOf(pod, "c"), "/c");
  pod.systemdCgroup = true;
  pod.cgroupParent = "pod.slice";
  EXPECT_EQ(cgroupsPathOf(pod, "c"), "pod.slice:berth:c");
}

}  // namespace
}  // namespace berth::kata
