#include "engine/spec/spec.hpp"

#include "common/capability_names.hpp"
#include "engine/spec/annotations.hpp"
#include "engine/spec/process.hpp"
#include "specification_fixture.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using test::invalid;
using test::unmet;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST_F(Specification, OfAPlainContainer) {
  const auto made = build();
  ASSERT_OK(made);
  const bj::value spec = made->spec;
  EXPECT_EQ(test::at(spec, "/ociVersion"), "1.0.2");
  EXPECT_EQ(test::at(spec, "/root/path"), bj::string(root.path()));
  EXPECT_EQ(test::at(spec, "/root/readonly"), false);
  EXPECT_EQ(test::at(spec, "/process/terminal"), false);
  EXPECT_EQ(test::at(spec, "/process/cwd"), "/");
  EXPECT_EQ(test::at(spec, "/process/noNewPrivileges"), false);
  EXPECT_EQ(test::at(spec, "/process/oomScoreAdj"), 0);
  EXPECT_THAT(test::texts(test::at(spec, "/process/args")), ElementsAre("/bin/sh"));
  EXPECT_THAT(test::texts(test::at(spec, "/process/env")), Contains("HOSTNAME=web"));
  EXPECT_THAT(test::texts(test::at(spec, "/process/capabilities/bounding")),
              AllOf(Contains("CAP_CHOWN"), Contains("CAP_NET_RAW"), SizeIs(14)));
  EXPECT_EQ(test::at(spec, "/linux/cgroupsPath"), "/berth/container-id");
  EXPECT_EQ(test::at(spec, "/linux/resources/devices/0/allow"), false);
  for (const char* absent : {"/hostname", "/hooks", "/linux/seccomp", "/linux/devices",
                             "/linux/maskedPaths", "/linux/readonlyPaths", "/linux/uidMappings",
                             "/linux/rootfsPropagation", "/linux/mountLabel", "/process/rlimits",
                             "/linux/sysctl", "/process/apparmorProfile", "/process/selinuxLabel"})
    EXPECT_TRUE(test::at(spec, absent).is_null()) << absent;
  EXPECT_THAT(made->warnings, IsEmpty());
  EXPECT_THAT(made->missingDirectories, IsEmpty());
}

TEST_F(Specification, IsTheSameEachTime) {
  defaults.annotations = {"*"};
  const char* const podText =
      "annotations { key: 'b' value: '1' } annotations { key: 'a' value: '2' }"
      "annotations { key: 'c' value: '3' }";
  EXPECT_EQ(bj::serialize(build("", podText)->spec), bj::serialize(build("", podText)->spec));
}

TEST_F(Specification, ReportsTheUser) {
  const auto made = build(secured("run_as_username: 'bob' supplemental_groups: 9"));
  ASSERT_OK(made);
  EXPECT_EQ(made->user.uid(), 1000);
  EXPECT_THAT(made->user.supplemental_groups(), ElementsAre(9, 50, 1000));
  EXPECT_EQ(test::at(made->spec, "/process/user"),
            test::json(R"({"uid": 1000, "gid": 1000, "additionalGids": [9, 50, 1000]})"));
  EXPECT_THAT(build(secured("run_as_group { value: 1 }")), invalid("without user"));
}

TEST_F(Specification, PassesTheSecurityContextOn) {
  const std::string context = secured(
      "readonly_rootfs: true no_new_privs: true masked_paths: '/proc/acpi' "
      "readonly_paths: ['/proc/sys', '/proc/bus'] seccomp {}");
  EXPECT_EQ(get("/root/readonly", context), true);
  EXPECT_EQ(get("/process/noNewPrivileges", context), true);
  EXPECT_THAT(test::texts(get("/linux/maskedPaths", context)), ElementsAre("/proc/acpi"));
  EXPECT_THAT(test::texts(get("/linux/readonlyPaths", context)),
              ElementsAre("/proc/sys", "/proc/bus"));
  EXPECT_EQ(get("/linux/seccomp/defaultAction", context), "SCMP_ACT_ERRNO");
  EXPECT_THAT(build(secured("masked_paths: 'acpi'")), invalid("maskedPaths: \"acpi\""));
  EXPECT_THAT(build(secured("readonly_paths: ''")), invalid("readonlyPaths: \"\""));
}

TEST_F(Specification, SeccompFollowsTheCapabilities) {
  const auto allows = [&](const std::string& context) {
    return bj::serialize(get("/linux/seccomp", secured("seccomp {} " + context)))
               .find("\"mount\"") != std::string::npos;
  };
  EXPECT_FALSE(allows(""));
  EXPECT_TRUE(allows("capabilities { add_capabilities: 'SYS_ADMIN' }"));
  host.capabilities &= ~common::capabilityBit(*common::capabilityNumber("SYS_ADMIN"));
  EXPECT_FALSE(allows("capabilities { add_capabilities: 'SYS_ADMIN' }"));
}

constexpr const char* kPrivilegedPod = "linux { security_context { privileged: true } }";

TEST_F(Specification, PrivilegedIsUnconfined) {
  const auto made =
      build(secured("privileged: true seccomp {} masked_paths: '/a' readonly_paths: '/b' "
                    "capabilities { drop_capabilities: 'ALL' }"),
            kPrivilegedPod);
  ASSERT_OK(made);
  const bj::value spec = made->spec;
  EXPECT_THAT(test::texts(test::at(spec, "/process/capabilities/effective")), SizeIs(41));
  for (const char* absent : {"/linux/seccomp", "/linux/maskedPaths", "/linux/readonlyPaths"})
    EXPECT_TRUE(test::at(spec, absent).is_null()) << absent;
  EXPECT_EQ(test::at(spec, "/linux/resources/devices"),
            test::json(R"([{"allow": true, "access": "rwm"}])"));
  std::vector<std::string> devices;
  const bj::value nodes = test::at(spec, "/linux/devices");
  for (const bj::value& device : nodes.as_array())
    devices.emplace_back(device.at("path").as_string());
  EXPECT_THAT(devices, Contains("/dev/null"));
  EXPECT_THAT(bj::serialize(test::at(spec, "/linux/namespaces")), Not(HasSubstr("cgroup")));
}

TEST_F(Specification, PrivilegedNeedsAPrivilegedPod) {
  EXPECT_THAT(build(secured("privileged: true")), invalid("no privileged container allowed"));
}

TEST_F(Specification, PrivilegedHasNoMoreThanTheDaemon) {
  host.capabilities = 5;
  EXPECT_THAT(test::texts(get("/process/capabilities/permitted", secured("privileged: true"),
                              kPrivilegedPod)),
              ElementsAre("CAP_CHOWN", "CAP_DAC_READ_SEARCH"));
}

TEST_F(Specification, ResourcesAndLimits) {
  defaults.pidsLimit = 100;
  defaults.ulimits = {{"nofile", 10, 20}};
  const std::string request =
      "linux { resources { memory_limit_in_bytes: 1000 cpu_shares: 5 oom_score_adj: -7 } }";
  EXPECT_EQ(get("/linux/resources/memory/limit", request), 1000);
  EXPECT_EQ(get("/linux/resources/cpu/shares", request), 5);
  EXPECT_EQ(get("/linux/resources/pids/limit", request), 100);
  EXPECT_EQ(get("/process/oomScoreAdj", request), -7);
  EXPECT_EQ(get("/process/rlimits/0/type", request), "RLIMIT_NOFILE");
  EXPECT_THAT(build("linux { resources { memory_swap_limit_in_bytes: 5 } }"),
              invalid("without memory_limit_in_bytes"));
}

TEST_F(Specification, WarnsOfWhatCannotBeGiven) {
  host.capabilities = 0;
  const auto made = build(
      "linux { resources { oom_score_adj: -7 } security_context { capabilities {"
      "  add_capabilities: 'SYS_TIME' } } }");
  ASSERT_OK(made);
  EXPECT_THAT(made->warnings,
              ElementsAre(test::warns("CAP_SYS_TIME"), test::warns("oom_score_adj", true)));
}

constexpr const char* kUserPod =
    "linux { security_context { namespace_options { userns_options { mode: POD"
    "  uids { host_id: 1000 length: 9 } gids { host_id: 2000 length: 9 } } } } }";

TEST_F(Specification, UserNamespaces) {
  host.capabilities = 0;
  const auto made = build("", kUserPod);
  ASSERT_OK(made);
  EXPECT_EQ(test::at(made->spec, "/linux/uidMappings/0/hostID"), 1000);
  EXPECT_EQ(test::at(made->spec, "/linux/gidMappings/0/hostID"), 2000);
  EXPECT_THAT(bj::serialize(test::at(made->spec, "/linux/namespaces")),
              HasSubstr(R"({"type":"user","path":"/us"})"));
  // Not what the daemon has counts in there.
  EXPECT_THAT(test::texts(test::at(made->spec, "/process/capabilities/bounding")), SizeIs(14));
  features.userNamespaces = false;
  EXPECT_THAT(build("", kUserPod), unmet("runtime handler does not support"));
  features.userNamespaces = true;
  host.userNamespaces = false;
  EXPECT_THAT(build("", kUserPod), unmet("kernel does not support"));
}

TEST_F(Specification, FilesOfThePodBelongToItsRootAlready) {
  files.hosts = root.write("hosts", "");
  features.idmappedMounts = true;
  const auto made = build("", kUserPod);
  ASSERT_OK(made);
  const bj::array& mounts = made->spec.at("mounts").as_array();
  EXPECT_EQ(test::at(mounts.back(), "/destination"), "/etc/hosts");
  EXPECT_FALSE(mounts.back().as_object().contains("uidMappings"));
}

TEST_F(Specification, CgroupsPathFollowsTheDriver) {
  driver = CgroupDriver::kSystemd;
  EXPECT_EQ(get("/linux/cgroupsPath", "", "linux { cgroup_parent: '/a.slice/a-b.slice' }"),
            "a-b.slice:berth:container-id");
  EXPECT_THAT(build("", "linux { cgroup_parent: '/a' }"), invalid("is not a slice"));
}

TEST_F(Specification, SeLinuxLabels) {
  test::enableSeLinux(host);
  labels = {.process = "system_u:system_r:container_t:s0:c1,c2",
            .mount = "system_u:object_r:container_file_t:s0:c1,c2"};
  EXPECT_EQ(get("/process/selinuxLabel"), "system_u:system_r:container_t:s0:c1,c2");
  EXPECT_EQ(get("/linux/mountLabel"), "system_u:object_r:container_file_t:s0:c1,c2");
  EXPECT_THAT(build(secured("selinux_options { level: 's0,c4' }")), invalid("level"));
}

TEST_F(Specification, SeLinuxRelabelsForThoseWhoAreConfined) {
  test::enableSeLinux(host);
  labels = {.process = "system_u:system_r:container_t:s0:c1,c2",
            .mount = "system_u:object_r:container_file_t:s0:c1,c2"};
  const std::string volume = folders.makeDirectory("volume");
  const std::string mounts =
      "mounts { container_path: '/x' host_path: '" + volume +
      "' selinux_relabel: true } mounts { container_path: '/y' host_path: '" + volume + "' } ";
  const auto made = build(mounts + secured("selinux_options { level: 's0:c7,c8' }"));
  ASSERT_OK(made);
  ASSERT_THAT(made->relabels, SizeIs(1));
  EXPECT_EQ(made->relabels[0].path, volume);
  EXPECT_EQ(made->relabels[0].label, "system_u:object_r:container_file_t:s0:c7,c8");
  EXPECT_THAT(build(mounts + secured("privileged: true"), kPrivilegedPod)->relabels, IsEmpty());
  EXPECT_THAT(
      build(mounts, "linux { security_context { namespace_options { ipc: NODE } } }")->relabels,
      IsEmpty());
}

TEST_F(Specification, PropagationReachesTheRoot) {
  const auto made = build("mounts { container_path: '/x' host_path: '/proc/sys/../self' }");
  ASSERT_OK(made);
  EXPECT_TRUE(test::at(made->spec, "/linux/rootfsPropagation").is_null());
  const auto missing = build("mounts { container_path: '/x' host_path: '" + (root / "new") + "' }");
  ASSERT_OK(missing);
  EXPECT_THAT(missing->missingDirectories, ElementsAre(root / "new"));
}

TEST_F(Specification, VirtualMachinesNeedFewPaths) {
  isolation = Isolation::kVirtualMachine;
  namespaces = {.network = "/n"};
  EXPECT_EQ(get("/hostname"), "web");
}

TEST_F(Specification, FollowsTheRuntimesVersion) {
  features = runtimeFeatures(
      test::json(R"({"ociVersion": "1.0.2-dev", "recursiveReadOnly": true, "extra": 1})")
          .as_object());
  EXPECT_EQ(get("/ociVersion"), "1.0.2-dev");
  EXPECT_TRUE(features.recursiveReadOnly);
  EXPECT_FALSE(features.idmappedMounts);
  EXPECT_FALSE(features.netDevices);
  EXPECT_TRUE(runtimeFeatures(test::json(R"({"ociVersion": "1.3.0"})").as_object()).netDevices);
  EXPECT_EQ(runtimeFeatures({}).ociVersion, "1.0.2");
  EXPECT_EQ(runtimeFeatures({}).isolation, Isolation::kNamespaces);
  EXPECT_EQ(runtimeFeatures(test::json(R"({"virtualMachine": true})").as_object()).isolation,
            Isolation::kVirtualMachine);
}

TEST_F(Specification, AnnotationsNameThePodAndTheContainer) {
  defaults.annotations = {"run.oci.", "exact-*-match", "io.example/"};
  const auto made = build(
      "tty: true annotations { key: 'io.example/a' value: '1' } "
      "annotations { key: 'io.example/a/b' value: '4' } annotations { key: 'x' value: 'no' }",
      "annotations { key: 'run.oci.x/y' value: '2' } "
      "annotations { key: 'exact-x/y-match' value: '3' } "
      "annotations { key: 'an-exact-x-match' value: 'no' } "
      "annotations { key: 'exact-x-matches' value: 'no' }");
  ASSERT_OK(made);
  const bj::object& annotations = made->spec.at("annotations").as_object();
  const std::pair<const char*, const char*> expected[] = {
      {"io.kubernetes.cri.container-type", "container"},
      {"io.kubernetes.cri.container-name", "c"},
      {"io.kubernetes.cri.image-name", "busybox:1"},
      {"io.kubernetes.cri.sandbox-id", "pod-id"},
      {"io.kubernetes.cri.sandbox-name", "pod"},
      {"io.kubernetes.cri.sandbox-namespace", "ns"},
      {"io.kubernetes.cri.sandbox-uid", "u"},
      {"io.kubernetes.cri-o.ContainerType", "container"},
      {"io.kubernetes.cri-o.ContainerID", "container-id"},
      {"io.kubernetes.cri-o.SandboxID", "pod-id"},
      {"io.kubernetes.cri-o.TTY", "true"},
      {"io.kubernetes.cri-o.LogPath", "/log"},
      {"io.example/a", "1"},
      {"io.example/a/b", "4"},
      {"run.oci.x/y", "2"},
      {"exact-x/y-match", "3"}};
  for (const auto& [key, value] : expected) {
    ASSERT_TRUE(annotations.contains(key)) << key;
    EXPECT_EQ(annotations.at(key), value) << key;
  }
  for (const char* absent : {"x", "an-exact-x-match", "exact-x-matches"})
    EXPECT_FALSE(annotations.contains(absent)) << absent;
}

TEST_F(Specification, DefaultAnnotationsAreForThoseThatAreNotSet) {
  defaults.annotations = {"io.example/"};
  defaults.defaultAnnotations = {{"io.example/a", "default"},
                                 {"io.example/b", "default"},
                                 {"io.kubernetes.cri.sandbox-id", "mine"}};
  const auto made = build("annotations { key: 'io.example/a' value: 'own' }");
  ASSERT_OK(made);
  const bj::object& annotations = made->spec.at("annotations").as_object();
  EXPECT_EQ(annotations.at("io.example/a"), "own");
  EXPECT_EQ(annotations.at("io.example/b"), "default");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-id"), "pod-id");
}

TEST_F(Specification, AnnotationsCannotBeForged) {
  defaults.annotations = {"*"};
  EXPECT_EQ(build("annotations { key: 'io.kubernetes.cri.sandbox-id' value: 'mine' }")
                ->spec.at("annotations")
                .at("io.kubernetes.cri.sandbox-id"),
            "pod-id");
}

TEST_F(Specification, PodsHaveAnnotationsToo) {
  const bj::object annotations = podAnnotations(
      test::parse<runtime::v1::PodSandboxConfig>(
          "metadata { name: 'pod' } log_directory: '/logs' linux { cgroup_parent: '/p' "
          "resources { cpu_period: 1 cpu_quota: 2 cpu_shares: 3 memory_limit_in_bytes: 4 } }"),
      "pod-id", defaults);
  EXPECT_EQ(annotations.at("io.kubernetes.cri.container-type"), "sandbox");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-memory"), "4");
  EXPECT_EQ(annotations.at("io.kubernetes.cri.sandbox-log-directory"), "/logs");
  EXPECT_EQ(annotations.at("io.kubernetes.cri-o.ContainerType"), "sandbox");
}

TEST_F(Specification, RefusesWhatItCannotDo) {
  EXPECT_THAT(build("CDI_devices { name: 'vendor.com/gpu=0' }"), invalid("vendor.com/gpu=0"));
  image.command.clear();
  EXPECT_THAT(build(), invalid("no command specified"));
}

}  // namespace
}  // namespace berth::spec
