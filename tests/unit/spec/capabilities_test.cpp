#include "engine/spec/capabilities.hpp"

#include "common/capability_names.hpp"
#include "fixture.hpp"

namespace berth::spec {
namespace {

using test::invalid;
using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<std::string> kDefaults = {"CHOWN", "KILL"};

uint64_t bits(const std::vector<std::string>& names) {
  uint64_t mask = 0;
  for (const std::string& name : names)
    mask |= common::capabilityBit(*common::capabilityNumber(name));
  return mask;
}

const uint64_t kAvailable = bits({"CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "SYS_TIME"});

struct Case {
  const char* name;
  const char* request;
  Privilege privilege;
  std::vector<std::string> granted;
  std::vector<std::string> ambient;
  size_t warnings;
};

class Capabilities : public testing::TestWithParam<Case> {};

TEST_P(Capabilities, AreGranted) {
  Warnings warnings;
  const auto sets = resolveCapabilities(test::parse<runtime::v1::Capability>(GetParam().request),
                                        kDefaults, kAvailable, GetParam().privilege, warnings);
  ASSERT_OK(sets);
  EXPECT_EQ(sets->granted, bits(GetParam().granted));
  EXPECT_EQ(sets->ambient, bits(GetParam().ambient));
  EXPECT_EQ(warnings.size(), GetParam().warnings) << testing::PrintToString(warnings);
}

INSTANTIATE_TEST_SUITE_P(
    All, Capabilities,
    testing::Values(
        Case{"Defaults", "", Privilege::kNormal, {"CHOWN", "KILL"}, {}, 0},
        Case{"AddWithoutPrefix",
             "add_capabilities: 'NET_ADMIN'",
             Privilege::kNormal,
             {"CHOWN", "KILL", "NET_ADMIN"},
             {},
             0},
        Case{"AddWithPrefixInLowerCase",
             "add_capabilities: 'cap_net_admin'",
             Privilege::kNormal,
             {"CHOWN", "KILL", "NET_ADMIN"},
             {},
             0},
        Case{"Drop", "drop_capabilities: 'CAP_CHOWN'", Privilege::kNormal, {"KILL"}, {}, 0},
        Case{"DropAll", "drop_capabilities: 'ALL'", Privilege::kNormal, {}, {}, 0},
        Case{"DropAllAddOne",
             "drop_capabilities: 'all' add_capabilities: 'SYS_TIME'",
             Privilege::kNormal,
             {"SYS_TIME"},
             {},
             0},
        Case{"AddAll",
             "add_capabilities: 'ALL'",
             Privilege::kNormal,
             {"CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "SYS_TIME"},
             {},
             0},
        Case{"AddAllDropOne",
             "add_capabilities: 'ALL' drop_capabilities: 'CHOWN'",
             Privilege::kNormal,
             {"KILL", "NET_ADMIN", "NET_RAW", "SYS_TIME"},
             {},
             0},
        Case{"DropWinsOverAdd",
             "add_capabilities: 'NET_RAW' drop_capabilities: 'NET_RAW'",
             Privilege::kNormal,
             {"CHOWN", "KILL"},
             {},
             0},
        Case{"MissingOnTheHostIsLeftOut",
             "add_capabilities: 'SYS_RESOURCE'",
             Privilege::kNormal,
             {"CHOWN", "KILL"},
             {},
             1},
        Case{"MissingButDroppedIsSilent",
             "add_capabilities: 'SYS_RESOURCE' drop_capabilities: 'SYS_RESOURCE'",
             Privilege::kNormal,
             {"CHOWN", "KILL"},
             {},
             0},
        Case{"Ambient",
             "add_ambient_capabilities: 'NET_RAW'",
             Privilege::kNormal,
             {"CHOWN", "KILL", "NET_RAW"},
             {"NET_RAW"},
             0},
        Case{"AmbientMissing",
             "add_ambient_capabilities: 'SYS_ADMIN'",
             Privilege::kNormal,
             {"CHOWN", "KILL"},
             {},
             1},
        Case{"PrivilegedHasWhatThereIs",
             "drop_capabilities: 'ALL'",
             Privilege::kPrivileged,
             {"CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "SYS_TIME"},
             {},
             0}),
    [](const auto& chosen) { return std::string(chosen.param.name); });

TEST(CapabilityRules, DefaultTheHostLacksIsNoOnesConcern) {
  Warnings warnings;
  const auto sets =
      resolveCapabilities({}, {"MKNOD", "KILL"}, kAvailable, Privilege::kNormal, warnings);
  ASSERT_OK(sets);
  EXPECT_EQ(sets->granted, bits({"KILL"}));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(CapabilityRules, UnknownNamesAreRefused) {
  Warnings warnings;
  const auto resolve = [&](const char* request) {
    return resolveCapabilities(test::parse<runtime::v1::Capability>(request), kDefaults, kAvailable,
                               Privilege::kNormal, warnings);
  };
  EXPECT_THAT(resolve("add_capabilities: 'FLY'"), invalid("unknown capability \"FLY\" to add"));
  EXPECT_THAT(resolve("drop_capabilities: 'CAP_'"), invalid("unknown capability \"CAP_\" to drop"));
  EXPECT_THAT(resolve("add_ambient_capabilities: ''"), invalid("to add as ambient"));
  EXPECT_THAT(resolve("add_ambient_capabilities: 'ALL'"), invalid("name each one"));
}

TEST(CapabilityRules, JsonKeepsInheritableToAmbient) {
  const uint64_t two = bits({"CHOWN", "NET_RAW"});
  const boost::json::value plain = capabilitiesJson({.granted = two, .ambient = 0});
  for (const char* set : {"/bounding", "/effective", "/permitted"})
    EXPECT_THAT(test::texts(test::at(plain, set)), ElementsAre("CAP_CHOWN", "CAP_NET_RAW")) << set;
  EXPECT_TRUE(test::at(plain, "/inheritable").is_null());
  EXPECT_TRUE(test::at(plain, "/ambient").is_null());

  const boost::json::value ambient =
      capabilitiesJson({.granted = two, .ambient = bits({"NET_RAW"})});
  EXPECT_THAT(test::texts(test::at(ambient, "/inheritable")), ElementsAre("CAP_NET_RAW"));
  EXPECT_THAT(test::texts(test::at(ambient, "/ambient")), ElementsAre("CAP_NET_RAW"));
}

}  // namespace
}  // namespace berth::spec
