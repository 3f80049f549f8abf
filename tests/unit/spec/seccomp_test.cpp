#include <cerrno>
#include <set>

#include <seccomp.h>

#include "common/capability_names.hpp"
#include "engine/spec/seccomp_profile.hpp"
#include "engine/spec/security.hpp"
#include "fixture.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using test::at;
using test::invalid;
using test::unmet;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

SeccompConditions conditions(const std::vector<std::string>& capabilities = {}) {
  SeccompConditions result{.architecture = "amd64", .kernel = {.major = 6, .minor = 1}};
  for (const std::string& name : capabilities)
    result.capabilities |= common::capabilityBit(*common::capabilityNumber(name));
  return result;
}

// Names that a profile lets through whatever their arguments.
std::set<std::string> allowed(const bj::value& profile) {
  std::set<std::string> names;
  for (const bj::value& rule : profile.at("syscalls").as_array())
    if (rule.at("action") == "SCMP_ACT_ALLOW" && !rule.as_object().contains("args"))
      for (const std::string& name : test::texts(rule.at("names"))) names.insert(name);
  return names;
}

bj::array rulesFor(const bj::value& profile, const std::string& name) {
  bj::array found;
  for (const bj::value& rule : profile.at("syscalls").as_array())
    if (test::texts(rule.at("names")) == std::vector<std::string>{name}) found.push_back(rule);
  return found;
}

TEST(DefaultProfile, RefusesByDefaultAndNamesArchitectures) {
  SeccompConditions host = conditions();
  host.x32 = true;
  const bj::value profile = defaultSeccompProfile(host);
  EXPECT_EQ(at(profile, "/defaultAction"), "SCMP_ACT_ERRNO");
  EXPECT_EQ(at(profile, "/defaultErrnoRet"), EPERM);
  EXPECT_THAT(test::texts(at(profile, "/architectures")),
              ElementsAre("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"));

  host.x32 = false;  // the same host otherwise
  EXPECT_THAT(test::texts(at(defaultSeccompProfile(host), "/architectures")),
              ElementsAre("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"));
}

TEST(DefaultProfile, LetsOrdinaryProgramsRun) {
  const auto names = allowed(defaultSeccompProfile(conditions()));
  for (const char* name : {"read", "write", "openat", "execve", "mmap", "futex", "exit_group",
                           "rseq", "statx", "epoll_wait", "arch_prctl", "ptrace"})
    EXPECT_THAT(names, Contains(name));
  for (const char* name : {"mount", "unshare", "setns", "bpf", "reboot", "kexec_load", "keyctl",
                           "add_key", "init_module", "clone3", "userfaultfd", "io_uring_setup",
                           "swapon", "perf_event_open", "chroot", "socket", "personality"})
    EXPECT_THAT(names, Not(Contains(name)));
}

TEST(DefaultProfile, KnowsNoNameThatLibseccompDoesNot) {
  const bj::value profile = defaultSeccompProfile(conditions({"SYS_ADMIN", "SYS_NICE"}));
  for (const bj::value& rule : profile.at("syscalls").as_array()) {
    EXPECT_FALSE(rule.at("names").as_array().empty());
    for (const std::string& name : test::texts(rule.at("names")))
      EXPECT_NE(seccomp_syscall_resolve_name(name.c_str()), __NR_SCMP_ERROR) << name;
  }
}

TEST(DefaultProfile, OpensWithCapabilities) {
  const std::pair<const char*, const char*> cases[] = {{"DAC_READ_SEARCH", "open_by_handle_at"},
                                                       {"SYS_ADMIN", "mount"},
                                                       {"SYS_ADMIN", "clone3"},
                                                       {"SYS_ADMIN", "unshare"},
                                                       {"SYS_BOOT", "reboot"},
                                                       {"SYS_CHROOT", "chroot"},
                                                       {"SYS_MODULE", "init_module"},
                                                       {"SYS_PACCT", "acct"},
                                                       {"SYS_PTRACE", "kcmp"},
                                                       {"SYS_RAWIO", "iopl"},
                                                       {"SYS_TIME", "settimeofday"},
                                                       {"SYS_TTY_CONFIG", "vhangup"},
                                                       {"SYS_NICE", "mbind"},
                                                       {"SYSLOG", "syslog"},
                                                       {"BPF", "bpf"},
                                                       {"PERFMON", "perf_event_open"}};
  const auto without = allowed(defaultSeccompProfile(conditions()));
  for (const auto& [capability, name] : cases) {
    EXPECT_THAT(without, Not(Contains(name)));
    EXPECT_THAT(allowed(defaultSeccompProfile(conditions({capability}))), Contains(name))
        << capability;
  }
}

TEST(DefaultProfile, RefusesNamespacesWithoutSysAdmin) {
  const bj::value profile = defaultSeccompProfile(conditions());
  const bj::array clone = rulesFor(profile, "clone");
  ASSERT_EQ(clone.size(), 1u);
  EXPECT_EQ(at(clone[0], "/args/0"), test::json(R"({"index": 0, "value": 2114060288,
      "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 0})"));
  const bj::array clone3 = rulesFor(profile, "clone3");
  ASSERT_EQ(clone3.size(), 1u);
  EXPECT_EQ(at(clone3[0], "/action"), "SCMP_ACT_ERRNO");
  EXPECT_EQ(at(clone3[0], "/errnoRet"), ENOSYS);

  EXPECT_TRUE(rulesFor(defaultSeccompProfile(conditions({"SYS_ADMIN"})), "clone").empty());
  SeccompConditions s390 = conditions();
  s390.architecture = "s390x";
  EXPECT_EQ(at(rulesFor(defaultSeccompProfile(s390), "clone"), "/0/args/0/index"), 1);
}

TEST(DefaultProfile, RefusesDangerousSocketsAndPersonalities) {
  const bj::value profile = defaultSeccompProfile(conditions());
  const bj::array sockets = rulesFor(profile, "socket");
  ASSERT_EQ(sockets.size(), 3u);
  const char* const operations[] = {"SCMP_CMP_LT", "SCMP_CMP_EQ", "SCMP_CMP_GT"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(at(sockets[i], "/args/0/value"), 38 + static_cast<int>(i));  // AF_ALG … AF_VSOCK
    EXPECT_EQ(at(sockets[i], "/args/0/op"), operations[i]);
    EXPECT_EQ(at(sockets[i], "/args").as_array().size(), 1u);
  }
  EXPECT_EQ(rulesFor(profile, "personality").size(), 5u);
}

TEST(DefaultProfile, TracingNeedsAKernelThatChecksTwice) {
  SeccompConditions old = conditions();
  old.kernel = {.major = 4, .minor = 7};
  EXPECT_THAT(allowed(defaultSeccompProfile(old)), Not(Contains("ptrace")));
  old.kernel = {.major = 4, .minor = 8};
  EXPECT_THAT(allowed(defaultSeccompProfile(old)), Contains("ptrace"));
}

TEST(DefaultProfile, IsTheSameEachTimeAndForEachSetOnItsOwn) {
  const bj::object first = defaultSeccompProfile(conditions());
  EXPECT_EQ(first, defaultSeccompProfile(conditions({"CHOWN"})));  // of no account
  // More sets than are kept.
  for (int bit = 0; bit < common::kCapabilityCount; ++bit) {
    SeccompConditions one = conditions();
    one.capabilities = common::capabilityBit(bit);
    defaultSeccompProfile(one);
  }
  EXPECT_EQ(first, defaultSeccompProfile(conditions()));
  EXPECT_NE(first, defaultSeccompProfile(conditions({"SYS_ADMIN"})));
}

absl::StatusOr<bj::object> parse(std::string_view text,
                                 const SeccompConditions& host = conditions()) {
  return parseSeccompProfile(text, "p.json", host);
}

TEST(ProfileFile, OciFormPassesThrough) {
  const auto profile = parse(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "listenerPath": "/run/n.sock", "listenerMetadata": "m", "comment": "ignored",
    "syscalls": [
      {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"},
      {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
        {"index": 0, "value": 18446744073709551615, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}]})");
  ASSERT_OK(profile);
  EXPECT_EQ(bj::value(*profile), test::json(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "listenerPath": "/run/n.sock", "listenerMetadata": "m",
    "syscalls": [
      {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"},
      {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
        {"index": 0, "value": 18446744073709551615, "valueTwo": 1,
         "op": "SCMP_CMP_MASKED_EQ"}]}]})"));
}

TEST(ProfileFile, DockerFormIsConverted) {
  const auto profile = parse(R"({
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [
      {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
      {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
      {"name": "chmod", "action": "SCMP_ACT_ERRNO", "args": null},
      {"names": ["reboot"], "action": "SCMP_ACT_ERRNO", "includes": {}, "excludes": {}}]})");
  ASSERT_OK(profile);
  EXPECT_EQ(bj::value(*profile), test::json(R"({
    "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"},
                 {"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]})"));
}

TEST(ProfileFile, ConditionsDecide) {
  const std::pair<const char*, bool> cases[] = {
      {R"("includes": {"caps": ["CAP_SYS_ADMIN"]})", true},
      {R"("includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]})", false},
      {R"("includes": {"caps": ["CAP_OF_TOMORROW"]})", false},
      {R"("excludes": {"caps": ["CAP_SYS_ADMIN"]})", false},
      {R"("excludes": {"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]})", false},
      {R"("excludes": {"caps": ["CAP_BPF"]})", true},
      {R"("includes": {"arches": ["arm64", "amd64"]})", true},
      {R"("includes": {"arches": ["arm64"]})", false},
      {R"("excludes": {"arches": ["amd64"]})", false},
      {R"("excludes": {"arches": ["s390x"]})", true},
      {R"("includes": {"minKernel": "6.1"})", true},
      {R"("includes": {"minKernel": "6.2"})", false},
      {R"("includes": {"minKernel": "5.19"})", true},
      {R"("excludes": {"minKernel": "4.8"})", false},
      {R"("includes": {"arches": ["amd64"], "minKernel": "9.0"})", false},
      {R"("includes": null, "excludes": null)", true}};
  for (const auto& [condition, stays] : cases) {
    const auto profile =
        parse(std::string(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_ALLOW", )") +
                  condition + "}]}",
              conditions({"SYS_ADMIN"}));
    ASSERT_OK(profile);
    EXPECT_EQ(profile->at("syscalls").as_array().size(), stays ? 1u : 0u) << condition;
  }
}

TEST(ProfileFile, SaysWhatIsWrongAndWhere) {
  const auto rule = [](const char* text) {
    return std::string(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)") + text + "]}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {"", "parse p.json"},
      {"[]", "parse p.json: expected a JSON object"},
      {"{}", "parse p.json: defaultAction is missing"},
      {R"({"defaultAction": "allow"})", "defaultAction has the unknown value \"allow\""},
      {R"({"defaultAction": 3})", "defaultAction must be a string"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": -1})", "defaultErrnoRet must be"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "architectures": ["x86"]})", "architectures has"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "architectures": "x86"})", "architectures must be"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "flags": ["FAST"]})", "flags has"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "archMap": {}})", "archMap must be an array"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "archMap": [{}]})", "archMap[0] must be"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "archMap": [], "architectures":
          ["SCMP_ARCH_X86"]})",
       "use one of them"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "syscalls": {}})", "syscalls must be an array"},
      {R"({"defaultAction": "SCMP_ACT_NOTIFY"})", "listenerPath is missing"},
      {R"({"defaultAction": "SCMP_ACT_KILL", "listenerPath": 1})", "listenerPath must be"},
      {rule("7"), "syscalls[0] must be an object"},
      {rule(R"({"action": "SCMP_ACT_ALLOW"})"), "syscalls[0] names no system call"},
      {rule(R"({"names": [1], "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].names must be"},
      {rule(R"({"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"})"), "both name and names"},
      {rule(R"({"names": ["read"]})"), "syscalls[0] has no action"},
      {rule(R"({"names": ["read"], "action": "NO"})"), "syscalls[0].action has"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 9999})"), "errnoRet"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": {}})"),
       "syscalls[0].args must be an array"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{}]})"),
       "syscalls[0].args[0] must have index, value and op"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]})"),
       "syscalls[0].args[0].index must be a whole number from 0 to 5"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"}]})"),
       "args[0].value must be"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": 0, "op": "=="}]})"),
       "args[0].op has"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": []})"),
       "syscalls[0].includes must be an object"},
      {rule(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6"}})"),
       "syscalls[0].includes.minKernel must be <kernel>.<major>"}};
  for (const auto& [text, message] : cases) EXPECT_THAT(parse(text), invalid(message)) << text;
}

struct Chosen : testing::Test {
  absl::StatusOr<std::optional<bj::object>> choose(const std::string& request) {
    return seccompFor(test::parse<runtime::v1::LinuxContainerSecurityContext>(request), defaults,
                      host, 0);
  }
  std::string action(const std::string& request) {
    const auto profile = choose(request);
    EXPECT_TRUE(profile.ok()) << profile.status();
    if (!profile.ok() || !*profile) return "none";
    return std::string((*profile)->at("defaultAction").as_string());
  }

  const test::TemporaryDirectory directory;
  const std::string file =
      directory.write("p.json", R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})");
  Defaults defaults;
  common::HostFacts host = test::richHost();
};

TEST_F(Chosen, ByTheRequest) {
  EXPECT_EQ(action(""), "none");
  EXPECT_EQ(action("seccomp {}"), "SCMP_ACT_ERRNO");
  EXPECT_EQ(action("seccomp { profile_type: Unconfined }"), "none");
  EXPECT_EQ(action("seccomp { profile_type: Localhost localhost_ref: '" + file + "' }"),
            "SCMP_ACT_ALLOW");
  EXPECT_EQ(action("seccomp { profile_type: Localhost localhost_ref: 'localhost/" + file + "' }"),
            "SCMP_ACT_ALLOW");
  EXPECT_EQ(action("seccomp_profile_path: 'runtime/default'"), "SCMP_ACT_ERRNO");
  EXPECT_EQ(action("seccomp_profile_path: 'docker/default'"), "SCMP_ACT_ERRNO");
  EXPECT_EQ(action("seccomp_profile_path: 'unconfined'"), "none");
  EXPECT_EQ(action("seccomp_profile_path: 'localhost/" + file + "'"), "SCMP_ACT_ALLOW");
  // The new field wins.
  EXPECT_EQ(action("seccomp {} seccomp_profile_path: 'unconfined'"), "SCMP_ACT_ERRNO");
}

TEST_F(Chosen, ByTheConfiguration) {
  defaults.seccompWhenUnset = "runtime/default";
  EXPECT_EQ(action(""), "SCMP_ACT_ERRNO");
  defaults.seccompDefaultFile = file;
  EXPECT_EQ(action("seccomp {}"), "SCMP_ACT_ALLOW");
  defaults.seccompRoot = directory.path();
  EXPECT_EQ(action("seccomp { profile_type: Localhost localhost_ref: 'p.json' }"),
            "SCMP_ACT_ALLOW");
}

TEST_F(Chosen, NotForPrivileged) {
  EXPECT_EQ(action("privileged: true seccomp {}"), "none");
  EXPECT_EQ(action("privileged: true seccomp { profile_type: Localhost localhost_ref: '/no' }"),
            "none");
}

TEST_F(Chosen, OrRefused) {
  EXPECT_THAT(choose("seccomp { localhost_ref: 'x' }"), invalid("only profile_type Localhost"));
  EXPECT_THAT(choose("seccomp { profile_type: Localhost }"), invalid("needs a localhost_ref"));
  EXPECT_THAT(choose("seccomp_profile_path: 'nonsense'"), invalid("invalid seccomp profile"));
  EXPECT_THAT(choose("seccomp { profile_type: Localhost localhost_ref: '../../etc/x' }"),
              invalid("leads out of"));
  EXPECT_EQ(choose("seccomp { profile_type: Localhost localhost_ref: '/no/such' }").status().code(),
            absl::StatusCode::kInvalidArgument);
  runtime::v1::LinuxContainerSecurityContext strange;
  strange.mutable_seccomp()->set_profile_type(
      static_cast<runtime::v1::SecurityProfile::ProfileType>(7));
  EXPECT_THAT(seccompFor(strange, defaults, host, 0), invalid("profile_type 7 is unknown"));

  host.seccomp = false;
  EXPECT_THAT(choose("seccomp {}"), unmet("no seccomp filters"));
  EXPECT_EQ(action("seccomp { profile_type: Unconfined }"), "none");
  EXPECT_EQ(action(""), "none");
}

}  // namespace
}  // namespace berth::spec
