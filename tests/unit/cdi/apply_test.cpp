#include "cdi/apply.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cdi/host_device.hpp"
#include "fixture.hpp"

namespace berth::cdi {
namespace {

using test::invalid;
using test::json;

boost::json::object edited(std::string_view spec, const Edits& edits,
                           const RuntimeSupport& support = {}) {
  boost::json::object result = json(spec).as_object();
  const absl::Status status = applyEdits(edits, support, result);
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

TEST(CdiEdits, EnvironmentReplacesTheSameName) {
  EXPECT_EQ(edited(R"({"process": {"env": ["A=1", "AB=2"]}})", {.environment = {"A=3", "C=4"}}),
            json(R"({"process": {"env": ["A=3", "AB=2", "C=4"]}})"));
}

TEST(CdiEdits, DeviceNodes) {
  const Edits edits{
      .deviceNodes = {
          {.path = "/dev/n", .hostPath = "/dev/null"},
          {.path = "/dev/full",
           .type = "c",
           .major = 7,
           .minor = 8,
           .fileMode = 0600,
           .permissions = "r",
           .uid = 3,
           .gid = 4},
          {.path = "/dev/no-access", .type = "b", .major = 9, .minor = 1, .permissions = "none"}}};
  EXPECT_EQ(edited(R"({"process": {"user": {"uid": 1000, "gid": 0}},
                       "linux": {"devices": [{"path": "/dev/n"}, {"path": "/dev/other"}],
                                 "resources": {"devices": [{"allow": false}]}}})",
                   edits),
            json(R"({"process": {"user": {"uid": 1000, "gid": 0}},
      "linux": {"devices": [
          {"path": "/dev/other"},
          {"path": "/dev/n", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 1000},
          {"path": "/dev/full", "type": "c", "major": 7, "minor": 8, "fileMode": 384,
           "uid": 3, "gid": 4},
          {"path": "/dev/no-access", "type": "b", "major": 9, "minor": 1, "uid": 1000}],
        "resources": {"devices": [
          {"allow": false},
          {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
          {"allow": true, "type": "c", "major": 7, "minor": 8, "access": "r"},
          {"allow": true, "type": "b", "major": 9, "minor": 1, "access": ""}]}}})"));
}

TEST(CdiEdits, DevicesThatAreNotThere) {
  boost::json::object spec;
  const auto apply = [&](const DeviceNode& node) {
    return applyEdits({.deviceNodes = {node}}, {}, spec);
  };
  EXPECT_THAT(apply({.path = "/dev/no-such-device"}), invalid("does not exist on this host"));
  EXPECT_THAT(apply({.path = "/dev/x", .hostPath = "/etc"}), invalid("/etc is no device node"));
  EXPECT_THAT(apply({.path = "/dev/null", .type = "b"}), invalid("is of type c on this host"));
}

TEST(CdiEdits, HostDevicesAreFollowedAndFilledIn) {
  const berth::testing::TemporaryDirectory folder;
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0640), 0);
  const auto pipe = resolveDevice({.path = "/dev/f", .hostPath = fifo});
  ASSERT_TRUE(pipe.ok()) << pipe.status();
  EXPECT_EQ(pipe->type, "p");
  EXPECT_EQ(pipe->fileMode, 0640u);
  const std::string link = folder / "link";
  ASSERT_EQ(::symlink("/dev/zero", link.c_str()), 0);
  const auto zero = resolveDevice({.path = link, .type = "u"});
  ASSERT_TRUE(zero.ok()) << zero.status();
  EXPECT_EQ(zero->type, "u");
  EXPECT_EQ(zero->minor, 5);
}

TEST(CdiEdits, MountsReplaceAndAreSorted) {
  const Edits edits{
      .mounts = {{.hostPath = "/b", .containerPath = "/x/y", .options = {"ro", "bind"}},
                 {.hostPath = "/a", .containerPath = "/x"},
                 {.hostPath = "tmpfs", .containerPath = "/t", .type = "tmpfs"}}};
  EXPECT_EQ(edited(R"({"mounts": [{"destination": "/proc"}, {"destination": "/x", "source": "old"},
                                  {"destination": "/a/b/c"}]})",
                   edits)
                .at("mounts"),
            json(R"([{"destination": "/proc"}, {"destination": "/x", "source": "/a"},
                     {"destination": "/t", "source": "tmpfs", "type": "tmpfs"},
                     {"destination": "/x/y", "source": "/b", "options": ["ro", "bind"]},
                     {"destination": "/a/b/c"}])"));
}

TEST(CdiEdits, BindMountsFollowTheUserNamespace) {
  constexpr std::string_view kSpec = R"({"linux": {"uidMappings": [1], "gidMappings": [2]}})";
  const Edits edits{.mounts = {{.hostPath = "/b", .containerPath = "/x", .options = {"rbind"}},
                               {.hostPath = "t", .containerPath = "/y", .type = "tmpfs"}}};
  EXPECT_EQ(edited(kSpec, edits, {.idmappedMounts = true}).at("mounts"),
            json(R"([{"destination": "/x", "source": "/b", "options": ["rbind"],
                      "uidMappings": [1], "gidMappings": [2]},
                     {"destination": "/y", "source": "t", "type": "tmpfs"}])"));
  EXPECT_FALSE(edited(kSpec, edits).at("mounts").at(0).as_object().contains("uidMappings"));
}

TEST(CdiEdits, HooksGroupsAndRdt) {
  const Edits edits{
      .hooks = {{.name = "createContainer",
                 .path = "/h",
                 .arguments = {"h", "x"},
                 .environment = {"E=1"},
                 .timeout = 3},
                {.name = "poststop", .path = "/p"}},
      .additionalGids = {0, 5, 6, 6},
      .intelRdt = IntelRdt{.closId = "c", .schemata = {"L3:0=f"}, .enableMonitoring = true}};
  EXPECT_EQ(edited(R"({"process": {"user": {"additionalGids": [5]}},
                       "hooks": {"createContainer": [{"path": "/first"}]}})",
                   edits),
            json(R"({"process": {"user": {"additionalGids": [5, 6]}},
                     "hooks": {"createContainer": [{"path": "/first"},
                                 {"path": "/h", "args": ["h", "x"], "env": ["E=1"], "timeout": 3}],
                               "poststop": [{"path": "/p"}]},
                     "linux": {"intelRdt": {"closID": "c", "schemata": ["L3:0=f"],
                                            "enableMonitoring": true}}})"));
}

TEST(CdiEdits, NetDevicesNeedARuntimeThatHasThem) {
  const Edits edits{.netDevices = {{.hostName = "eth7", .name = "rdma0"}}};
  boost::json::object spec;
  EXPECT_THAT(applyEdits(edits, {}, spec),
              test::FailsWith(absl::StatusCode::kFailedPrecondition, "eth7"));
  EXPECT_EQ(edited("{}", edits, {.netDevices = true}),
            json(R"({"linux": {"netDevices": {"eth7": {"name": "rdma0"}}}})"));
}

}  // namespace
}  // namespace berth::cdi
