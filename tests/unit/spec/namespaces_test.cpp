#include "engine/spec/namespaces.hpp"

#include "engine/spec/sysctls.hpp"
#include "fixture.hpp"

namespace berth::spec {
namespace {

using runtime::v1::ContainerConfig;
using runtime::v1::PodSandboxConfig;
using test::invalid;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

PodSandboxConfig podWith(const std::string& options, const std::string& more = "") {
  return test::parse<PodSandboxConfig>(
      "linux { " + more + " security_context { namespace_options { " + options + " } } }");
}

ContainerConfig containerWith(const std::string& options) {
  return test::parse<ContainerConfig>("linux { security_context { namespace_options { " + options +
                                      " } } }");
}

constexpr const char* kMapped =
    "userns_options { mode: POD uids { host_id: 1000 length: 100000 }"
    "                 gids { host_id: 2000 length: 100000 } }";

TEST(PodNamespaces, FollowTheOptions) {
  const auto plain = podNamespaces({});
  ASSERT_OK(plain);
  EXPECT_TRUE(plain->network && plain->ipc && plain->uts && plain->pid);
  EXPECT_FALSE(plain->user);
  const auto host = podNamespaces(podWith("network: NODE pid: NODE ipc: NODE"));
  EXPECT_FALSE(host->network || host->ipc || host->uts || host->pid);
  EXPECT_FALSE(podNamespaces(podWith("pid: CONTAINER"))->pid);
  EXPECT_FALSE(podNamespaces(podWith("userns_options { mode: NODE }"))->user);
  const auto user = podNamespaces(podWith(kMapped));
  ASSERT_OK(user);
  EXPECT_TRUE(user->user);
  ASSERT_EQ(user->gids.size(), 1u);
  EXPECT_EQ(user->gids[0].host_id(), 2000u);
}

TEST(PodNamespaces, RefuseUserNamespacesThatCannotBe) {
  const std::string one = "{ host_id: 1000 length: 10 }";
  const std::pair<std::string, const char*> cases[] = {
      {"userns_options { mode: CONTAINER }", "unsupported mode CONTAINER"},
      {"userns_options { mode: TARGET }", "unsupported mode TARGET"},
      {"userns_options { mode: POD }", "uids: exactly one mapping is supported, not 0"},
      {"userns_options { mode: POD uids " + one + " }", "gids: exactly one"},
      {"userns_options { mode: POD uids " + one + " uids " + one + " gids " + one + " }",
       "uids: exactly one mapping is supported, not 2"},
      {"userns_options { mode: POD uids { container_id: 1 host_id: 5 length: 9 } gids " + one +
           " }",
       "must begin at container ID 0, not 1"},
      {"userns_options { mode: POD uids { host_id: 5 } gids " + one + " }", "is not a range"},
      {"userns_options { mode: POD uids { host_id: 4294967295 length: 1 } gids " + one + " }",
       "is not a range"},
      {"userns_options { mode: NODE uids " + one + " }", "mode NODE takes no mappings"},
      {std::string(kMapped) + " pid: NODE", "cannot use the host's PID or IPC"},
      {std::string(kMapped) + " ipc: NODE", "cannot use the host's PID or IPC"}};
  for (const auto& [options, message] : cases)
    EXPECT_THAT(podNamespaces(podWith(options)), invalid(message)) << options;
  EXPECT_TRUE(podNamespaces(podWith(std::string(kMapped) + " network: NODE")).ok());
}

struct ContainerNamespaces : testing::Test {
  absl::StatusOr<NamespacePlan> plan(const std::string& podOptions,
                                     const std::string& containerOptions) {
    pod = podWith(podOptions);
    config = containerWith(containerOptions);
    config.mutable_linux()->mutable_security_context()->set_privileged(privilege ==
                                                                       Privilege::kPrivileged);
    const auto namespaces = podNamespaces(pod);
    if (!namespaces.ok()) return namespaces.status();
    return containerNamespaces({.pod = pod,
                                .config = config,
                                .image = image,
                                .host = host,
                                .defaults = defaults,
                                .features = features,
                                .containerId = "c1",
                                .namespaces = paths,
                                .isolation = isolation},
                               *namespaces);
  }
  std::vector<std::string> list(const absl::StatusOr<NamespacePlan>& made) {
    EXPECT_TRUE(made.ok()) << made.status();
    std::vector<std::string> result;
    if (!made.ok()) return result;
    for (const boost::json::value& entry : made->namespaces) {
      const boost::json::object& object = entry.as_object();
      result.emplace_back(object.at("type").as_string());
      if (object.contains("path"))
        result.back() += "=" + std::string(object.at("path").as_string());
    }
    return result;
  }

  enum class Privilege { kNormal, kPrivileged };
  PodSandboxConfig pod;
  ContainerConfig config;
  common::ImageConfig image;
  common::HostFacts host = test::richHost();
  Defaults defaults;
  RuntimeFeatures features;
  NamespacePaths paths{
      .network = "/n", .ipc = "/i", .uts = "/u", .pid = "/p", .targetPid = "/t", .user = "/user"};
  Isolation isolation = Isolation::kNamespaces;
  Privilege privilege = Privilege::kNormal;
};

TEST_F(ContainerNamespaces, JoinThePods) {
  EXPECT_THAT(list(plan("", "")),
              ElementsAre("mount", "pid=/p", "network=/n", "ipc=/i", "uts=/u", "cgroup"));
  EXPECT_THAT(list(plan("network: NODE ipc: NODE pid: NODE", "")), ElementsAre("mount", "cgroup"));
  // The container's own word on network and IPC does not count.
  EXPECT_THAT(list(plan("network: NODE pid: CONTAINER", "pid: CONTAINER")),
              ElementsAre("mount", "pid", "ipc=/i", "cgroup"));
}

TEST_F(ContainerNamespaces, PidModes) {
  EXPECT_THAT(list(plan("", "pid: CONTAINER"))[1], "pid");
  EXPECT_THAT(list(plan("pid: CONTAINER", ""))[1], "pid");
  EXPECT_THAT(list(plan("", "pid: TARGET target_id: 'x'"))[1], "pid=/t");
  EXPECT_THAT(list(plan("pid: NODE", "pid: NODE"))[1], "network=/n");
  EXPECT_THAT(plan("", "pid: NODE"), invalid("the pod does not use the host's PID"));
  paths.targetPid.clear();
  EXPECT_THAT(plan("", "pid: TARGET target_id: 'gone'"),
              invalid("no running container \"gone\" in the pod"));
}

TEST_F(ContainerNamespaces, CgroupOnlyOnVersionTwoAndUnprivileged) {
  privilege = Privilege::kPrivileged;
  EXPECT_FALSE(plan("", "")->ownCgroup);
  privilege = Privilege::kNormal;
  EXPECT_TRUE(plan("", "")->ownCgroup);
  host.cgroupMode = common::CgroupMode::kHybrid;
  EXPECT_FALSE(plan("", "")->ownCgroup);
}

TEST_F(ContainerNamespaces, UserNamespaceIsThePods) {
  const auto made = plan(kMapped, kMapped);
  EXPECT_THAT(list(made).back(), "user=/user");
  EXPECT_EQ(boost::json::value(made->uidMappings),
            test::json(R"([{"containerID": 0, "hostID": 1000, "size": 100000}])"));
  EXPECT_EQ(boost::json::value(made->gidMappings),
            test::json(R"([{"containerID": 0, "hostID": 2000, "size": 100000}])"));
  EXPECT_THAT(list(plan(kMapped, "")).back(), "user=/user");
  EXPECT_THAT(plan("", kMapped), invalid("differ from its pod's"));
  EXPECT_THAT(plan(kMapped, "userns_options { mode: NODE }"), invalid("differ from its pod's"));
  EXPECT_TRUE(plan("", "userns_options { mode: NODE }").ok());
  EXPECT_TRUE(plan("", "")->uidMappings.empty());
}

TEST_F(ContainerNamespaces, MissingPathsAreOurOwnFault) {
  paths.network.clear();
  EXPECT_THAT(plan("", ""), test::FailsWith(absl::StatusCode::kInternal,
                                            "the pod's network namespace has no path"));
  isolation = Isolation::kVirtualMachine;
  paths = {.network = "/n"};
  const auto made = plan("", "");
  EXPECT_THAT(list(made), ElementsAre("mount", "pid", "network=/n", "ipc", "uts", "cgroup"));
  EXPECT_TRUE(made->ownUts);
}

absl::StatusOr<Sysctls> sysctl(const std::string& name, const std::string& options = "") {
  return podSysctls(podWith(options, "sysctls { key: '" + name + "' value: '1' }"), {});
}

TEST(Sysctls, OfThePodsOwnNamespaces) {
  EXPECT_THAT(*podSysctls({}, {}), IsEmpty());
  for (const char* name : {"net.ipv4.ip_forward", "kernel.shmmax", "kernel.sem", "kernel.msgmax",
                           "fs.mqueue.msg_max", "kernel.domainname", "kernel.shm_rmid_forced"})
    EXPECT_THAT(*sysctl(name), ElementsAre(Pair(name, "1"))) << name;
  EXPECT_THAT(*sysctl("net/ipv4/conf/eth0.1/rp_filter"),
              ElementsAre(Pair("net.ipv4.conf.eth0/1.rp_filter", "1")));
}

TEST(Sysctls, OfTheHostAreRefused) {
  for (const char* name : {"kernel.panic", "vm.swappiness", "kernel.hostname", "fs.file-max",
                           "user.max_user_namespaces", "kernel", "netx.y"})
    EXPECT_THAT(sysctl(name), invalid(std::string("sysctl \"") + name)) << name;
  EXPECT_THAT(sysctl("net.ipv4.ip_forward", "network: NODE"), invalid("host's network namespace"));
  EXPECT_THAT(sysctl("kernel.shmmax", "ipc: NODE"), invalid("host's IPC namespace"));
  EXPECT_THAT(sysctl("fs.mqueue.msg_max", "ipc: NODE"), invalid("host's IPC namespace"));
  EXPECT_THAT(sysctl("kernel.domainname", "network: NODE"), invalid("host's UTS namespace"));
}

TEST(Sysctls, NonsenseIsRefused) {
  for (const char* name : {"", "net..x", "net.", ".net", "net.../kernel", "net.a b", "net./x"})
    EXPECT_THAT(sysctl(name), invalid("is not the name of a kernel parameter")) << name;
  EXPECT_THAT(podSysctls(podWith("",
                                 "sysctls { key: 'net.a' value: '1' } "
                                 "sysctls { key: 'net/a' value: '2' }"),
                         {}),
              invalid("is given twice"));
  EXPECT_THAT(podSysctls(podWith("", "sysctls { key: 'net.a' value: '\\000' }"), {}),
              invalid("zero byte"));
}

TEST(Sysctls, DefaultsAreForWhatThePodHasAndDoesNotSet) {
  const Sysctls defaults = {{"kernel.sem", "9"},
                            {"net.ipv4.ip_unprivileged_port_start", "0"},
                            {"net.ipv4.ping_group_range", "0 2147483647"}};
  EXPECT_EQ(*podSysctls({}, defaults), defaults);
  EXPECT_THAT(*podSysctls(podWith("network: NODE"), defaults),
              ElementsAre(Pair("kernel.sem", "9")));
  EXPECT_THAT(*podSysctls(podWith("network: NODE ipc: NODE"), defaults), IsEmpty());
  EXPECT_THAT(*podSysctls(podWith("ipc: NODE",
                                  "sysctls { key: 'net/ipv4/ping_group_range' "
                                  "value: '1 0' }"),
                          defaults),
              ElementsAre(Pair("net.ipv4.ip_unprivileged_port_start", "0"),
                          Pair("net.ipv4.ping_group_range", "1 0")));
  // A user namespace maps too few groups for this one.
  EXPECT_THAT(
      *podSysctls(podWith(kMapped), defaults),
      ElementsAre(Pair("kernel.sem", "9"), Pair("net.ipv4.ip_unprivileged_port_start", "0")));
}

}  // namespace
}  // namespace berth::spec
