#include "engine/spec/devices.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fixture.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using runtime::v1::ContainerConfig;
using test::at;
using test::invalid;

struct Devices : testing::Test {
  absl::StatusOr<DevicePlan> plan(const std::string& request,
                                  Privilege privilege = Privilege::kNormal) {
    return planDevices(test::parse<ContainerConfig>(request), defaults, privilege,
                       directory.path());
  }
  static std::string device(const std::string& host, const std::string& container = "",
                            const std::string& permissions = "") {
    return "devices { host_path: '" + host + "' container_path: '" + container +
           "' permissions: '" + permissions + "' }";
  }

  const test::TemporaryDirectory directory;
  Defaults defaults;
};

TEST_F(Devices, AllIsDeniedByDefault) {
  const auto made = plan("");
  ASSERT_OK(made);
  EXPECT_TRUE(made->devices.empty());
  EXPECT_EQ(bj::value(made->rules), test::json(R"([{"allow": false, "access": "rwm"}])"));
}

TEST_F(Devices, NodesAreGiven) {
  const auto made = plan(device("/dev/null", "/dev/mine", "rw"));
  ASSERT_OK(made);
  struct stat status {};
  ASSERT_EQ(::stat("/dev/null", &status), 0);
  EXPECT_EQ(bj::value(made->devices), bj::value({bj::object{{"path", "/dev/mine"},
                                                            {"type", "c"},
                                                            {"major", 1u},
                                                            {"minor", 3u},
                                                            {"fileMode", status.st_mode & 07777u},
                                                            {"uid", status.st_uid},
                                                            {"gid", status.st_gid}}}));
  EXPECT_EQ(at(made->rules, "/1"), test::json(R"({"allow": true, "type": "c", "major": 1,
                                                  "minor": 3, "access": "rw"})"));
}

TEST_F(Devices, LinksAreFollowedAndNamesDefaulted) {
  directory.link("link", "/dev/zero");
  const auto made = plan(device(directory / "link"));
  ASSERT_OK(made);
  EXPECT_EQ(at(made->devices, "/0/path"), bj::string(directory / "link"));
  EXPECT_EQ(at(made->devices, "/0/minor"), 5);
  EXPECT_EQ(at(made->rules, "/1/access"), "rwm");
}

TEST_F(Devices, OwnersMayComeFromTheSecurityContext) {
  const std::string request =
      device("/dev/null") +
      "linux { security_context { run_as_user { value: 7 } run_as_group { value: 8 } } }";
  EXPECT_NE(at(plan(request)->devices, "/0/uid"), 7);
  defaults.deviceOwnership = DeviceOwnership::kSecurityContext;
  EXPECT_EQ(at(plan(request)->devices, "/0/uid"), 7);
  EXPECT_EQ(at(plan(request)->devices, "/0/gid"), 8);
}

TEST_F(Devices, DirectoriesStandForTheirNodes) {
  directory.makeDirectory("gpu/deep");
  directory.makeDirectory("gpu/pts");
  if (::mknod((directory / "gpu/zero").c_str(), S_IFCHR | 0600, makedev(1, 5)) != 0)
    GTEST_SKIP() << "making device nodes needs CAP_MKNOD";
  ASSERT_EQ(::mknod((directory / "gpu/deep/loop").c_str(), S_IFBLK | 0640, makedev(7, 0)), 0);
  ASSERT_EQ(::mknod((directory / "gpu/pts/0").c_str(), S_IFCHR | 0600, makedev(136, 0)), 0);
  ASSERT_EQ(::mknod((directory / "gpu/console").c_str(), S_IFCHR | 0600, makedev(5, 1)), 0);
  ASSERT_EQ(::mkfifo((directory / "gpu/fifo").c_str(), 0600), 0);
  directory.write("gpu/file", "");
  directory.link("gpu/link", "/dev/null");

  const auto made = plan(device(directory / "gpu", "/dev/gpu", "r"));
  ASSERT_OK(made);
  ASSERT_EQ(made->devices.size(), 2u);
  EXPECT_EQ(at(made->devices, "/0/path"), "/dev/gpu/deep/loop");
  EXPECT_EQ(at(made->devices, "/0/type"), "b");
  EXPECT_EQ(at(made->devices, "/0/fileMode"), 0640);
  EXPECT_EQ(at(made->devices, "/1/path"), "/dev/gpu/zero");
  EXPECT_EQ(made->rules.size(), 3u);

  // Everything of the host, and no more than one rule for it.
  const auto all = plan("", Privilege::kPrivileged);
  ASSERT_OK(all);
  EXPECT_EQ(at(all->devices, "/1/path"), "/dev/gpu/zero");
  EXPECT_EQ(bj::value(all->rules), test::json(R"([{"allow": true, "access": "rwm"}])"));
}

TEST_F(Devices, PrivilegedMayDoWithoutTheHosts) {
  defaults.privilegedDevices = PrivilegedDevices::kNone;
  const auto made = plan(device("/dev/null"), Privilege::kPrivileged);
  ASSERT_OK(made);
  EXPECT_EQ(made->devices.size(), 1u);
  EXPECT_EQ(bj::value(made->rules), test::json(R"([{"allow": true, "access": "rwm"}])"));
}

TEST_F(Devices, NonsenseIsRefused) {
  const std::string file = directory.write("file", "");
  EXPECT_THAT(plan(device(file)), invalid("it is not a device node"));
  EXPECT_THAT(plan(device(directory / "nowhere")), invalid("it does not exist on this host"));
  EXPECT_THAT(plan(device("dev/null")), invalid("host_path must be absolute"));
  EXPECT_THAT(plan(device("/dev/null", "here")), invalid("container_path must be absolute"));
  EXPECT_THAT(plan(device("/dev/null", "/..")), invalid("container_path must be absolute"));
  EXPECT_THAT(plan(device("/dev/null", "/x", "rwx")), invalid("permissions \"rwx\""));
  EXPECT_THAT(plan(device(directory.makeDirectory("empty"))), invalid("no devices in this"));
}

}  // namespace
}  // namespace berth::spec
