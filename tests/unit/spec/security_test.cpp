#include "engine/spec/security.hpp"

#include "fixture.hpp"

namespace berth::spec {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SELinuxOption;
using test::invalid;
using test::unmet;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct AppArmor : testing::Test {
  AppArmor() {
    host.appArmor = true;
    host.appArmorProfilesPath =
        directory.write("profiles", "mine (enforce)\nmy own (complain)\nberth-default (enforce)\n");
  }
  absl::StatusOr<std::string> choose(const char* request) {
    return appArmorFor(test::parse<LinuxContainerSecurityContext>(request), defaults, host,
                       warnings);
  }

  const test::TemporaryDirectory directory;
  Defaults defaults;
  common::HostFacts host = test::richHost();
  Warnings warnings;
};

TEST_F(AppArmor, TakesLoadedProfiles) {
  EXPECT_EQ(*choose("apparmor { profile_type: Localhost localhost_ref: 'mine' }"), "mine");
  EXPECT_EQ(*choose("apparmor { profile_type: Localhost localhost_ref: 'localhost/my own' }"),
            "my own");
  EXPECT_EQ(*choose("apparmor_profile: 'localhost/mine'"), "mine");
  EXPECT_EQ(*choose("apparmor_profile: 'localhost/gone' "
                    "apparmor { profile_type: Localhost localhost_ref: 'mine' }"),
            "mine");
  EXPECT_EQ(*choose("privileged: true apparmor { profile_type: Localhost localhost_ref: 'mine' }"),
            "mine");
}

TEST_F(AppArmor, RefusesProfilesThatAreNotLoaded) {
  EXPECT_THAT(choose("apparmor { profile_type: Localhost localhost_ref: 'min' }"),
              unmet("AppArmor profile not found: min"));
  EXPECT_THAT(choose("apparmor_profile: 'mine'"), invalid("invalid AppArmor profile \"mine\""));
  host.appArmor = false;
  EXPECT_THAT(choose("apparmor { profile_type: Localhost localhost_ref: 'mine' }"),
              unmet("AppArmor is not enabled"));
  EXPECT_EQ(*choose("apparmor { profile_type: Unconfined }"), "");
  EXPECT_EQ(*choose(""), "");
}

TEST_F(AppArmor, DefaultIsTheConfigurations) {
  EXPECT_EQ(*choose(""), "");
  EXPECT_THAT(choose("apparmor {}"), unmet("the configuration names none"));
  defaults.appArmorProfile = "berth-default";
  EXPECT_EQ(*choose(""), "berth-default");
  EXPECT_EQ(*choose("apparmor_profile: 'runtime/default'"), "berth-default");
  EXPECT_EQ(*choose("apparmor { profile_type: Unconfined }"), "");
  EXPECT_EQ(*choose("privileged: true"), "");
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(AppArmor, MissingDefaultIsFatalOnlyWhenAskedFor) {
  defaults.appArmorProfile = "absent";
  EXPECT_EQ(*choose(""), "");
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("absent is not loaded")));
  EXPECT_THAT(choose("apparmor {}"), unmet("absent is not loaded"));
}

struct SeLinux : testing::Test {
  SeLinux() { host.seLinux = true; }
  SeLinuxLabels container(const char* options, Privilege privilege = Privilege::kNormal) {
    const auto pod = podSeLinuxLabels({}, host, "s0:c1,c2");
    const auto labels =
        containerSeLinuxLabels(test::parse<SELinuxOption>(options), *pod, host, privilege);
    EXPECT_TRUE(labels.ok()) << labels.status();
    return *labels;
  }
  common::HostFacts host = test::richHost();
};

TEST_F(SeLinux, PodsHaveDefaultsAndTheirOwnCategories) {
  const auto labels = podSeLinuxLabels({}, host, "s0:c1,c2");
  ASSERT_OK(labels);
  EXPECT_EQ(labels->process, "system_u:system_r:container_t:s0:c1,c2");
  EXPECT_EQ(labels->mount, "system_u:object_r:container_file_t:s0:c1,c2");
  const auto set = podSeLinuxLabels(
      test::parse<SELinuxOption>("user: 'u' role: 'r' type: 't' level: 's0:c4,c5'"), host,
      "s0:c1,c2");
  EXPECT_EQ(set->process, "u:r:t:s0:c4,c5");
  EXPECT_EQ(set->mount, "u:object_r:container_file_t:s0:c4,c5");
}

TEST_F(SeLinux, ContainersOverrideTheirPods) {
  EXPECT_EQ(container("").process, "system_u:system_r:container_t:s0:c1,c2");
  EXPECT_EQ(container("level: 's0'").process, "system_u:system_r:container_t:s0");
  EXPECT_EQ(container("type: 'svirt_lxc_net_t'").process,
            "system_u:system_r:svirt_lxc_net_t:s0:c1,c2");
  const SeLinuxLabels privileged = container("", Privilege::kPrivileged);
  EXPECT_EQ(privileged.process, "system_u:system_r:spc_t:s0");
  EXPECT_EQ(privileged.mount, "system_u:object_r:container_file_t:s0:c1,c2");
  EXPECT_EQ(container("type: 'my_t'", Privilege::kPrivileged).process,
            "system_u:system_r:my_t:s0:c1,c2");
}

TEST_F(SeLinux, OptionsAreCheckedEvenWithoutSeLinux) {
  for (const bool enabled : {true, false}) {
    host.seLinux = enabled;
    for (const char* level : {"s0,c4,c5", "c1", "s16", "s0:c1024", "s0:", "s0:c1.c2.c3", "s0-s1-s2",
                              "s0:c1,", "s-1", " s0"}) {
      SELinuxOption options;
      options.set_level(level);
      EXPECT_THAT(podSeLinuxLabels(options, host, ""), invalid("level")) << level;
      EXPECT_THAT(containerSeLinuxLabels(options, {}, host, Privilege::kNormal), invalid("level"));
    }
    EXPECT_THAT(podSeLinuxLabels(test::parse<SELinuxOption>("type: 'a:b'"), host, ""),
                invalid("type \"a:b\" is not an SELinux identifier"));
  }
  EXPECT_EQ(podSeLinuxLabels({}, host, "s0")->process, "");
}

TEST_F(SeLinux, RangesAreLevelsToo) {
  for (const char* level : {"s0", "s15", "s0:c0.c1023", "s0-s3:c1,c5.c9", "s0:c1,c2,c3"}) {
    SELinuxOption options;
    options.set_level(level);
    EXPECT_TRUE(podSeLinuxLabels(options, host, "").ok()) << level;
  }
}

}  // namespace
}  // namespace berth::spec
