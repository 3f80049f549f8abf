#include "engine/spec/mounts.hpp"

#include "fixture.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using runtime::v1::ContainerConfig;
using test::invalid;
using test::unmet;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

const char* const kMountInfo =
    "20 1 8:1 / / rw - ext4 /dev/sda rw\n"
    "nonsense\n"
    "21 20 8:2 / /srv/shared rw,relatime shared:7 - ext4 /dev/sdb rw\n"
    "22 20 8:2 / /srv/slave rw master:7 propagate_from:2 - ext4 /dev/sdb rw\n"
    "23 20 8:2 / /srv/a\\040b rw shared:9 - ext4 /dev/sdc rw\n"
    "24 20 8:2 / /srv/over rw shared:9 - ext4 /dev/sdc rw\n"
    "25 20 8:2 / /srv/over rw - ext4 /dev/sdc rw\n"
    "26 20 8:2 / /srv/sharedother rw - ext4 /dev/sdc rw\n";

TEST(MountTable, FindsWhatCoversAPath) {
  const MountTable table = MountTable::parse(kMountInfo);
  struct {
    const char* path;
    const char* point;
    bool shared;
    bool slave;
  } const cases[] = {
      {"/srv/shared", "/srv/shared", true, false}, {"/srv/shared/x/y", "/srv/shared", true, false},
      {"/srv/sharedx", "/", false, false},         {"/srv/slave/x", "/srv/slave", false, true},
      {"/srv/a b/x", "/srv/a b", true, false},     {"/srv/over/x", "/srv/over", false, false}};
  for (const auto& expected : cases) {
    const MountEntry* entry = table.covering(expected.path);
    ASSERT_NE(entry, nullptr) << expected.path;
    EXPECT_EQ(entry->point, expected.point) << expected.path;
    EXPECT_EQ(entry->shared, expected.shared) << expected.path;
    EXPECT_EQ(entry->slave, expected.slave) << expected.path;
  }
  EXPECT_EQ(MountTable::parse("").covering("/no/such/path"), nullptr);
}

TEST(MountTable, ListsWhatIsMountedBelowAPath) {
  const MountTable table = MountTable::parse(kMountInfo);
  EXPECT_THAT(table.pointsBelow("/srv/over"), ElementsAre("/srv/over", "/srv/over"));
  EXPECT_THAT(table.pointsBelow("/srv/shared"), ElementsAre("/srv/shared"));
  EXPECT_EQ(table.pointsBelow("/").size(), 7u);
  EXPECT_EQ(table.pointsBelow("/srv").front(), "/srv/sharedother");
  EXPECT_THAT(table.pointsBelow("/elsewhere"), IsEmpty());
}

TEST(MountTable, ReadsTheKernels) {
  const auto table = MountTable::read();
  ASSERT_OK(table);
  const MountEntry* entry = table->covering("/proc/self/status");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->point.substr(0, 5), "/proc");
}

struct Mounts : testing::Test {
  absl::StatusOr<MountPlan> plan(const std::string& request) {
    config = test::parse<ContainerConfig>(request);
    return planMounts({.config = config,
                       .extraMounts = extra,
                       .files = files,
                       .features = features,
                       .host = host,
                       .mountLabel = label,
                       .mappedMounts = mappedMounts,
                       .ownDirectories = ownDirectories,
                       .privilege = privilege,
                       .userNamespace = userNamespace,
                       .network = network,
                       .ipc = ipc,
                       .cgroup = cgroup,
                       .mountTable = [this] { return MountTable::parse(mountInfo); }});
  }
  bj::object mount(const MountPlan& made, std::string_view destination) {
    for (const bj::value& entry : made.mounts)
      if (std::string_view(entry.at("destination").as_string().c_str()) == destination)
        return entry.as_object();
    ADD_FAILURE() << "no mount on " << destination;
    return {};
  }
  std::vector<std::string> options(const MountPlan& made, std::string_view destination) {
    return test::texts(mount(made, destination)["options"]);
  }
  std::vector<std::string> destinations(const MountPlan& made) {
    std::vector<std::string> result;
    for (const bj::value& entry : made.mounts)
      result.emplace_back(entry.at("destination").as_string().c_str());
    return result;
  }
  std::string bind(const std::string& target, const std::string& more = "") {
    return "mounts { container_path: '" + target + "' host_path: '" + directory.path() + "' " +
           more + " }";
  }

  const test::TemporaryDirectory directory;
  ContainerConfig config;
  std::vector<runtime::v1::Mount> extra;
  PodFiles files;
  RuntimeFeatures features{.recursiveReadOnly = true, .idmappedMounts = true};
  common::HostFacts host = test::richHost();
  std::string label;
  std::string mappedMounts = "/run/berth/c/mounts";
  std::vector<std::string> ownDirectories;
  Privilege privilege = Privilege::kNormal;
  UserNamespace userNamespace = UserNamespace::kHost;
  NetworkNamespace network = NetworkNamespace::kPod;
  IpcNamespace ipc = IpcNamespace::kPod;
  CgroupNamespace cgroup = CgroupNamespace::kOwn;
  std::string mountInfo = kMountInfo;
};

TEST_F(Mounts, DefaultsAreThere) {
  const auto made = plan("");
  ASSERT_OK(made);
  EXPECT_THAT(destinations(*made), ElementsAre("/proc", "/dev", "/dev/pts", "/dev/shm",
                                               "/dev/mqueue", "/sys", "/sys/fs/cgroup"));
  EXPECT_EQ(bj::value(mount(*made, "/proc")), test::json(R"({"destination": "/proc",
      "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]})"));
  EXPECT_THAT(options(*made, "/sys"), Contains("ro"));
  EXPECT_THAT(options(*made, "/sys/fs/cgroup"), Contains("ro"));
  EXPECT_THAT(options(*made, "/dev/shm"), Contains("mode=1777"));
  EXPECT_EQ(made->rootfsPropagation, "");
}

TEST_F(Mounts, PrivilegedMayWriteSysAndCgroup) {
  privilege = Privilege::kPrivileged;
  const auto made = plan("");
  EXPECT_THAT(options(*made, "/sys"), Contains("rw"));
  EXPECT_THAT(options(*made, "/sys/fs/cgroup"), Contains("rw"));
  EXPECT_THAT(options(*made, "/sys"), Not(Contains("ro")));
}

TEST_F(Mounts, KeepsTheHostsCgroup2Options) {
  host.cgroup2Options = {"nsdelegate"};
  EXPECT_THAT(options(*plan(""), "/sys/fs/cgroup"), Not(Contains("nsdelegate")));
  cgroup = CgroupNamespace::kHost;
  EXPECT_THAT(options(*plan(""), "/sys/fs/cgroup"), Contains("nsdelegate"));
}

TEST_F(Mounts, BindsSysForAUserNamespaceOnTheHostsNetwork) {
  userNamespace = UserNamespace::kPod;
  EXPECT_EQ(mount(*plan(""), "/sys")["type"], "sysfs");
  network = NetworkNamespace::kHost;
  const auto made = plan("");  // its cgroups below /sys are not to be seen on the host
  EXPECT_EQ(mount(*made, "/sys")["type"], "bind");
  EXPECT_THAT(options(*made, "/sys"), testing::IsSupersetOf({"rprivate", "rro"}));
  features.recursiveReadOnly = false;
  EXPECT_THAT(options(*plan(""), "/sys"), Contains("ro"));
}

TEST_F(Mounts, ShmIsThePodsOrTheHosts) {
  files.shm = "/run/berth/pod/shm";
  EXPECT_EQ(mount(*plan(""), "/dev/shm")["source"], "/run/berth/pod/shm");
  EXPECT_THAT(options(*plan(""), "/dev/shm"),
              ElementsAre("rbind", "rprivate", "rw", "nosuid", "noexec", "nodev"));
  ipc = IpcNamespace::kHost;
  EXPECT_EQ(mount(*plan(""), "/dev/shm")["source"], "/dev/shm");
}

TEST_F(Mounts, PodFilesUnlessTheRequestHasItsOwn) {
  files.hosts = directory.write("hosts", "");
  files.hostname = directory.write("hostname", "");
  files.resolvConf = directory.write("resolv.conf", "");
  label = "l";
  auto made = plan("");
  ASSERT_OK(made);
  EXPECT_EQ(mount(*made, "/etc/hosts")["source"], bj::string(files.hosts));
  EXPECT_THAT(options(*made, "/etc/resolv.conf"), ElementsAre("rbind", "rprivate", "rw"));
  EXPECT_EQ(made->relabels.size(), 3u);
  EXPECT_THAT(
      options(*plan("linux { security_context { readonly_rootfs: true } }"), "/etc/hostname"),
      Contains("ro"));
  made = plan(bind("/etc//hosts/"));
  EXPECT_EQ(mount(*made, "/etc/hosts")["source"], bj::string(directory.path()));
}

TEST_F(Mounts, RequestReplacesDefaults) {
  auto made = plan(bind("/dev"));
  ASSERT_OK(made);
  EXPECT_THAT(destinations(*made), ElementsAre("/proc", "/sys", "/sys/fs/cgroup", "/dev"));
  EXPECT_THAT(destinations(*plan(bind("/sys"))),
              ElementsAre("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"));
  EXPECT_EQ(mount(*plan(bind("/dev/shm/")), "/dev/shm")["source"], bj::string(directory.path()));
}

TEST_F(Mounts, ParentsComeFirstAndTheRequestWins) {
  runtime::v1::Mount volume;
  volume.set_host_path(directory.makeDirectory("volume"));
  for (const char* path : {"/data", "/a"}) {
    volume.set_container_path(path);
    extra.push_back(volume);
  }
  const auto made = plan(bind("/a/b/c") + bind("/data/") + bind("/a/b"));
  ASSERT_OK(made);
  std::vector<std::string> all = destinations(*made);
  all.erase(all.begin(), all.begin() + 7);
  EXPECT_THAT(all, ElementsAre("/data", "/a", "/a/b", "/a/b/c"));
  EXPECT_EQ(mount(*made, "/data")["source"], bj::string(directory.path()));
}

TEST_F(Mounts, AccessIsAsAsked) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "rw"},
      {"readonly: true", "ro"},
      {"readonly: true recursive_read_only: true", "rro"},
      {"image { image: 'i' }", "ro"}};
  for (const auto& [more, mode] : cases)
    EXPECT_THAT(options(*plan(bind("/x", more)), "/x"), ElementsAre("rbind", "rprivate", mode))
        << more;
  EXPECT_THAT(options(*plan(bind("/x", "mount_options: ['noexec', 'nosuid']")), "/x"),
              ElementsAre("rbind", "rprivate", "rw", "noexec", "nosuid"));
}

TEST_F(Mounts, RecursiveReadOnlyHasConditions) {
  const char* const both = "readonly: true recursive_read_only: true ";
  EXPECT_THAT(plan(bind("/x", "recursive_read_only: true")),
              invalid("recursive_read_only contradicts readonly being false"));
  mountInfo = "1 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n";
  for (const char* spread : {"PROPAGATION_HOST_TO_CONTAINER", "PROPAGATION_BIDIRECTIONAL"})
    EXPECT_THAT(
        plan(bind("/x", std::string(both) + "propagation: " + spread)),
        invalid(std::string("recursive_read_only needs private propagation, not ") + spread));
  features.recursiveReadOnly = false;
  EXPECT_THAT(plan(bind("/x", both)), unmet("RROUnsupported"));
}

TEST_F(Mounts, PropagationNeedsAFittingSource) {
  const auto with = [](const char* path, const char* spread) {
    return std::string("mounts { container_path: '/x' host_path: '") + path +
           "' propagation: PROPAGATION_" + spread + " }";
  };
  const auto set = [&](const char* propagation) {
    // The directory's own mount is found by the kernel's identifier, which is not in this table.
    mountInfo = std::string("1 1 8:1 / / rw ") + propagation + "- ext4 /dev/sda rw\n";
  };
  const char* const source = directory.path().c_str();
  set("shared:1 ");
  EXPECT_EQ(plan(with(source, "BIDIRECTIONAL"))->rootfsPropagation, "rshared");
  EXPECT_THAT(options(*plan(with(source, "BIDIRECTIONAL")), "/x"), Contains("rshared"));
  EXPECT_EQ(plan(with(source, "HOST_TO_CONTAINER"))->rootfsPropagation, "rslave");
  EXPECT_THAT(options(*plan(with(source, "HOST_TO_CONTAINER")), "/x"), Contains("rslave"));
  EXPECT_EQ(plan(with(source, "BIDIRECTIONAL") + "mounts { container_path: '/y' host_path: '/' "
                                                 "propagation: PROPAGATION_HOST_TO_CONTAINER }")
                ->rootfsPropagation,
            "rshared");
  set("master:1 ");
  EXPECT_THAT(
      plan(with(source, "BIDIRECTIONAL")),
      unmet("is mounted on \"/\" but it is not a shared mount, which bidirectional propagation "
            "needs: mount --make-rshared /"));
  EXPECT_EQ(plan(with(source, "HOST_TO_CONTAINER"))->rootfsPropagation, "rslave");
  set("");
  EXPECT_THAT(plan(with(source, "HOST_TO_CONTAINER")), unmet("not a shared or slave mount"));
  EXPECT_EQ(plan(with(source, "PRIVATE"))->rootfsPropagation, "");
}

TEST_F(Mounts, SourcesAreResolvedOnce) {
  const std::string real = directory.makeDirectory("real/dir");
  directory.link("link", directory / "real");
  const auto made = plan("mounts { container_path: '/x' host_path: '" + (directory / "link") +
                         "/./dir/../dir' }");
  ASSERT_OK(made);
  EXPECT_EQ(mount(*made, "/x")["source"], bj::string(real));
  EXPECT_THAT(made->missingDirectories, IsEmpty());
}

TEST_F(Mounts, MissingSourcesAreReportedNotMade) {
  directory.makeDirectory("real");
  directory.link("link", directory / "real");
  const auto made =
      plan("mounts { container_path: '/x' host_path: '" + (directory / "link") + "/new/deep' }");
  ASSERT_OK(made);
  EXPECT_THAT(made->missingDirectories, ElementsAre(directory / "real/new/deep"));
  EXPECT_EQ(mount(*made, "/x")["source"], bj::string(directory / "real/new/deep"));
  directory.link("dangling", directory / "nothing");
  EXPECT_THAT(plan("mounts { container_path: '/x' host_path: '" + (directory / "dangling") + "' }"),
              invalid("is a symbolic link to nowhere"));
}

TEST_F(Mounts, MappingsArePassedOn) {
  const char* const mapped =
      "uidMappings { host_id: 1000 container_id: 0 length: 10 } "
      "gidMappings { host_id: 2000 container_id: 0 length: 20 }";
  const auto made = plan(bind("/x", mapped));
  ASSERT_OK(made);
  EXPECT_EQ(mount(*made, "/x")["uidMappings"],
            test::json(R"([{"containerID": 0, "hostID": 1000, "size": 10}])"));
  EXPECT_EQ(mount(*made, "/x")["gidMappings"],
            test::json(R"([{"containerID": 0, "hostID": 2000, "size": 20}])"));
  EXPECT_THAT(plan(bind("/x", "uidMappings { length: 1 }")), invalid("must be given together"));
  EXPECT_THAT(plan(bind("/x", "uidMappings { length: 1 } gidMappings {}")),
              invalid("a mapping has the length 0"));
  EXPECT_THAT(made->mapped, IsEmpty());
}

TEST_F(Mounts, WhatTheRuntimeCannotMapIsMappedOnTheHost) {
  const std::string both =
      "uidMappings { host_id: 1000 container_id: 0 length: 10 } "
      "gidMappings { host_id: 2000 container_id: 0 length: 20 } ";
  features.idmappedMounts = false;
  host.idmappedMounts = true;
  mountInfo = "1 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n";
  const auto made = plan(bind("/x", both + "readonly: true") + bind("/plain") +
                         bind("/y", both + "propagation: PROPAGATION_HOST_TO_CONTAINER"));
  ASSERT_OK(made);
  ASSERT_EQ(made->mapped.size(), 2u);
  EXPECT_EQ(made->mapped[0].source, directory.path());
  EXPECT_EQ(made->mapped[0].target, "/run/berth/c/mounts/0");
  EXPECT_EQ(made->mapped[0].uids, (support::IdRanges{{0, 1000, 10}}));
  EXPECT_EQ(made->mapped[0].gids, (support::IdRanges{{0, 2000, 20}}));
  EXPECT_FALSE(made->mapped[0].propagates);
  EXPECT_TRUE(made->mapped[1].propagates);
  EXPECT_EQ(mount(*made, "/x")["source"], "/run/berth/c/mounts/0");
  EXPECT_EQ(mount(*made, "/y")["source"], "/run/berth/c/mounts/1");
  EXPECT_EQ(mount(*made, "/plain")["source"], bj::string(directory.path()));
  EXPECT_FALSE(mount(*made, "/x").contains("uidMappings"));
  EXPECT_THAT(options(*made, "/x"), ElementsAre("rbind", "rprivate", "ro"));

  host.idmappedMounts = false;
  EXPECT_THAT(plan(bind("/x", both)), unmet("has ID-mapped mounts"));
  host.idmappedMounts = true;
  mappedMounts.clear();
  EXPECT_THAT(plan(bind("/x", both)), unmet("has ID-mapped mounts"));
}

TEST_F(Mounts, ImagesComeWithMappedIds) {
  features.idmappedMounts = false;
  const auto made = plan(bind("/x",
                              "image { image: 'i' } uidMappings { length: 1 } "
                              "gidMappings { length: 1 }"));
  ASSERT_OK(made);
  EXPECT_THAT(made->mapped, IsEmpty());
  EXPECT_EQ(mount(*made, "/x")["source"], bj::string(directory.path()));
}

TEST_F(Mounts, OwnMountsOfTheEngineGoFromPrivateMountsToo) {
  ownDirectories = {directory / "root/deep"};
  directory.makeDirectory("root/deep");
  const auto spread = [&](const std::string& path, const std::string& more = "") {
    const auto made =
        plan("mounts { container_path: '/x' host_path: '" + path + "' " + more + " }");
    return made.ok() ? options(*made, "/x")[1] : made.status().ToString();
  };
  mountInfo = "1 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n";
  for (const std::string& path : {std::string("/"), directory.path(), directory / "root/deep"})
    EXPECT_EQ(spread(path), "rslave") << path;
  EXPECT_EQ(plan(bind("/x"))->rootfsPropagation, "rslave");
  directory.makeDirectory("root/deeper");
  EXPECT_EQ(spread(directory / "root/deeper"), "rprivate");
  EXPECT_EQ(spread("/", "readonly: true recursive_read_only: true"), "rprivate");
  mountInfo = "1 1 8:1 / / rw - ext4 /dev/sda rw\n";
  EXPECT_EQ(spread("/"), "rprivate");
}

TEST_F(Mounts, RelabelsOnlyWithALabelAndWhenAsked) {
  EXPECT_THAT(plan(bind("/x", "selinux_relabel: true"))->relabels, IsEmpty());
  label = "system_u:object_r:container_file_t:s0";
  const auto made = plan(bind("/x", "selinux_relabel: true") + bind("/y") +
                         bind("/z", "selinux_relabel: true image { image: 'i' }"));
  ASSERT_EQ(made->relabels.size(), 1u);
  EXPECT_EQ(made->relabels[0].path, directory.path());
  EXPECT_EQ(made->relabels[0].label, label);
}

TEST_F(Mounts, NonsenseIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"mounts { container_path: '/x' }", "host_path is empty"},
      {"mounts { container_path: '/x' image { image: 'i' } }", "the image to be mounted"},
      {"mounts { container_path: '/x' host_path: 'relative' }", "host_path must be absolute"},
      {"mounts { container_path: 'x' host_path: '/' }", "container_path must be absolute"},
      {"mounts { container_path: '' host_path: '/' }", "container_path must be absolute"},
      {"mounts { container_path: '/x/..' host_path: '/' }", "must not be the root itself"},
      {"mounts { container_path: '/x\\000y' host_path: '/' }", "contains a zero byte"},
      {"mounts { container_path: '/x' host_path: '/' mount_options: 'bind' }",
       "the mount option \"bind\" is not supported"}};
  for (const auto& [request, message] : cases) EXPECT_THAT(plan(request), invalid(message));
  ContainerConfig strange = test::parse<ContainerConfig>(bind("/x"));
  strange.mutable_mounts(0)->set_propagation(static_cast<runtime::v1::MountPropagation>(9));
  EXPECT_THAT(planMounts({.config = strange,
                          .extraMounts = extra,
                          .files = files,
                          .features = features,
                          .host = host}),
              invalid("propagation 9 is unknown"));
}

}  // namespace
}  // namespace berth::spec
