#include "engine/spec/security.hpp"

#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "engine/spec/apparmor_default.hpp"
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
  EXPECT_THAT(choose("apparmor {}"), unmet("names none: set containers.apparmor_profile"));
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
  EXPECT_THAT(warnings, ElementsAre(test::warns("absent is not loaded")));
  EXPECT_THAT(choose("apparmor {}"), unmet("absent is not loaded"));
}

TEST_F(AppArmor, TheBuiltInProfileIsLoadedWhenItIsNeeded) {
  directory.write("profiles", "mine (enforce)\n");
  defaults.appArmorProfile = "berth-default";
  EXPECT_THAT(choose("apparmor {}"), unmet("apparmor_parser is not installed (package apparmor)"));
  EXPECT_EQ(*choose(""), "");
  EXPECT_THAT(warnings, ElementsAre(test::warns("runs without one")));

  host.appArmorParser =
      directory.write("parser", "#!/bin/sh\necho \"$@\" > " + (directory / "arguments") +
                                    "\ncat > " + (directory / "profile") + "\n");
  ASSERT_EQ(::chmod(host.appArmorParser.c_str(), 0755), 0);
  EXPECT_EQ(*choose(""), "berth-default");
  EXPECT_THAT(*support::readFile(directory / "arguments"), HasSubstr("--replace"));
  EXPECT_EQ(*support::readFile(directory / "profile"), defaultAppArmorProfile());

  directory.write("parser", "#!/bin/sh\necho no such luck >&2\nexit 3\n");
  EXPECT_THAT(choose("apparmor {}"), unmet("no such luck"));
  // Nobody needs it.
  EXPECT_EQ(*choose("privileged: true"), "");
  EXPECT_EQ(*choose("apparmor { profile_type: Localhost localhost_ref: 'mine' }"), "mine");
}

TEST_F(AppArmor, TheBuiltInProfileIsOne) {
  const std::string own = defaultAppArmorProfile(directory / "nothing");
  EXPECT_THAT(own, testing::Not(HasSubstr("include")));
  EXPECT_THAT(own, HasSubstr("profile berth-default "));
  directory.write("parts/tunables/global", "");
  directory.write("parts/abstractions/base", "");
  directory.write("parts/abi/3.0", "");
  const std::string all = defaultAppArmorProfile(directory / "parts");
  for (const char* part :
       {"abi <abi/3.0>,\n", "#include <tunables/global>\n", "  #include <abstractions/base>\n"})
    EXPECT_THAT(all, HasSubstr(part));
}

TEST_F(AppArmor, TheBuiltInProfileCompiles) {
  const std::string parser = "/usr/sbin/apparmor_parser";
  if (!support::pathExists(parser)) GTEST_SKIP() << "apparmor_parser is not installed";
  for (const std::string& includes : {std::string("/etc/apparmor.d"), directory / "nothing"}) {
    const auto output =
        support::run({.argv = {parser, "--skip-kernel-load", "--skip-cache", "--quiet"}},
                     defaultAppArmorProfile(includes));
    ASSERT_OK(output);
    EXPECT_EQ(output->exitCode, 0) << output->standardError;
  }
}

struct SeLinux : testing::Test {
  SeLinux() { test::enableSeLinux(host); }
  SeLinuxLabels container(const char* options, Confinement confinement = Confinement::kOwn) {
    const auto pod = podSeLinuxLabels({}, host, "s0:c1,c2");
    const auto labels =
        containerSeLinuxLabels(test::parse<SELinuxOption>(options), *pod, host, confinement);
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
  const SeLinuxLabels privileged = container("", Confinement::kNone);
  EXPECT_EQ(privileged.process, "system_u:system_r:spc_t:s0");
  EXPECT_EQ(privileged.mount, "system_u:object_r:container_file_t:s0:c1,c2");
  EXPECT_EQ(container("type: 'my_t'", Confinement::kNone).process,
            "system_u:system_r:my_t:s0:c1,c2");
  EXPECT_TRUE(isConfined(container("")));
  EXPECT_TRUE(isConfined(container("type: 'my_t'", Confinement::kNone)));
  EXPECT_FALSE(isConfined(privileged));
  EXPECT_FALSE(isConfined(container("type: 'spc_t'")));
}

TEST_F(SeLinux, WhoSharesTheHostsProcessesOrMemoryIsNotConfined) {
  const auto confinement = [](const std::string& pod, const std::string& container) {
    return confinementOf(test::parse<runtime::v1::PodSandboxConfig>(
                             "linux { security_context { namespace_options { " + pod + " } } }"),
                         test::parse<runtime::v1::ContainerConfig>("linux { security_context { " +
                                                                   container + " } }"));
  };
  EXPECT_EQ(confinement("", ""), Confinement::kOwn);
  EXPECT_EQ(confinement("network: NODE", ""), Confinement::kOwn);
  EXPECT_EQ(confinement("pid: NODE", ""), Confinement::kNone);
  EXPECT_EQ(confinement("ipc: NODE", ""), Confinement::kNone);
  EXPECT_EQ(confinement("", "privileged: true"), Confinement::kNone);
}

TEST_F(SeLinux, FollowsTheHostsPolicy) {
  host.seLinuxProcessContext = "user_u:system_r:lxc_t";
  host.seLinuxFileContext = "user_u:object_r:lxc_file_t";
  EXPECT_FALSE(hasLevels(host));
  EXPECT_EQ(container("").process, "user_u:system_r:lxc_t");
  EXPECT_EQ(container("").mount, "user_u:object_r:lxc_file_t");
  // It has no type that is not confined.
  EXPECT_EQ(container("", Confinement::kNone).process, "");
  EXPECT_EQ(container("", Confinement::kNone).mount, "user_u:object_r:lxc_file_t");
  host.seLinuxFileContext.clear();
  EXPECT_FALSE(hasContainerLabels(host));
  EXPECT_EQ(container("").process, "");
}

TEST_F(SeLinux, ThePolicyIsAsked) {
  const test::TemporaryDirectory directory;
  host.seLinuxCheckPath = directory.write("context", "");
  EXPECT_EQ(container("").process, "system_u:system_r:container_t:s0:c1,c2");
  host.seLinuxCheckPath = directory.path();  // nothing can be written to it
  EXPECT_THAT(podSeLinuxLabels({}, host, ""),
              invalid("does not have the context system_u:system_r:container_t:s0"));
}

TEST_F(SeLinux, OptionsAreCheckedEvenWithoutSeLinux) {
  for (const bool enabled : {true, false}) {
    host.seLinux = enabled;
    EXPECT_EQ(hasContainerLabels(host), enabled);
    for (const char* level : {"s0,c4,c5", "c1", "s16", "s0:c1024", "s0:", "s0:c1.c2.c3", "s0-s1-s2",
                              "s0:c1,", "s-1", " s0"}) {
      SELinuxOption options;
      options.set_level(level);
      EXPECT_THAT(podSeLinuxLabels(options, host, ""), invalid("level")) << level;
      EXPECT_THAT(containerSeLinuxLabels(options, {}, host, Confinement::kOwn), invalid("level"));
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
