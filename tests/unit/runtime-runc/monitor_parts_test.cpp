// The monitor's smaller parts: the runtime's error texts, sysctl names.
#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/utf8.hpp"
#include "cgroup_move.hpp"
#include "namespaces.hpp"
#include "reaper.hpp"
#include "runtime_call.hpp"

namespace berth::runc::monitor {
namespace {

using testing::HasSubstr;

// ---- prepareCgroupMove -------------------------------------------------------------------------

TEST(CgroupMove, ChangesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may move processes";
  const auto cgroups = [] {
    std::ostringstream text;
    text << std::ifstream("/proc/self/cgroup").rdbuf();
    return text.str();
  };
  const std::string before = cgroups();
  const pid_t child = prepareCgroupMove();
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(cgroups(), before);
}

// ---- UnknownExits ------------------------------------------------------------------------------

TEST(UnknownExits, AreKeptForTheCallsThatWereAtWork) {
  UnknownExits exits;
  exits.add({1, 0, 0});
  EXPECT_EQ(exits.find(1), nullptr) << "no call was at work";
  const UnknownExits::Call first = exits.beginCall();
  exits.add({2, 0, 0});
  const UnknownExits::Call second = exits.beginCall();
  exits.add({3, 0, 0});
  exits.endCall(first);
  EXPECT_EQ(exits.find(2), nullptr) << "the second began after it";
  EXPECT_NE(exits.find(3), nullptr);
  exits.endCall(second);
  EXPECT_EQ(exits.size(), 0u);
}

TEST(UnknownExits, ALaterCallThatEndsFirstTakesNothingFromAnEarlierOne) {
  UnknownExits exits;
  const UnknownExits::Call first = exits.beginCall();
  const UnknownExits::Call same = exits.beginCall();
  exits.add({2, 0, 0});
  const UnknownExits::Call later = exits.beginCall();
  exits.endCall(later);
  exits.endCall(first);
  EXPECT_NE(exits.find(2), nullptr) << "another began with the first";
  exits.endCall(same);
  EXPECT_EQ(exits.size(), 0u);
}

TEST(UnknownExits, TheLastOfANumberIsFound) {
  UnknownExits exits;
  exits.beginCall();
  exits.add({2, 7, 0});
  exits.add({2, 9, 0});
  ASSERT_NE(exits.find(2), nullptr);
  EXPECT_EQ(exits.find(2)->status, 9);
}

TEST(UnknownExits, CallsThatAlwaysOverlapDoNotLetThemGrow) {
  UnknownExits exits;
  UnknownExits::Call before = exits.beginCall();
  for (int i = 0; i < 1000; ++i) {
    const UnknownExits::Call call = exits.beginCall();
    exits.add({i + 1, 0, 0});
    exits.endCall(before);
    EXPECT_EQ(exits.size(), 1u);
    before = call;
  }
}

// ---- lastErrorIn -------------------------------------------------------------------------------

TEST(LastError, OfRunc) {
  EXPECT_EQ(lastErrorIn(R"({"level":"warning","msg":"first","time":"t"}
{"level":"error","msg":"runc run failed: exec: \"x\\y\": not found","time":"t"}
{"level":"info","msg":"later","time":"t"}
)"),
            "runc run failed: exec: \"x\\y\": not found");
}

TEST(LastError, OfCrun) {
  EXPECT_EQ(lastErrorIn(R"({"msg": "open `/x`: No such file", "level": "error", "time": "t"})"),
            "open `/x`: No such file");
}

TEST(LastError, Escapes) {
  EXPECT_EQ(lastErrorIn(R"({"level":"error","msg":"a\nb\t\u00e4\u20ac\ud83d\/\u12"})"),
            "a\nb\t\u00e4\u20ac\ufffd/12");
}

TEST(LastError, PlainText) {
  EXPECT_EQ(lastErrorIn("no such flag\nTry --help\n\n"), "no such flag; Try --help");
  EXPECT_EQ(lastErrorIn(std::string(1000, 'u') + "\nno such flag\n"), "no such flag");
}

TEST(LastError, NothingToSay) {
  EXPECT_EQ(lastErrorIn(""), "");
  EXPECT_EQ(lastErrorIn("\n\n"), "");
  EXPECT_EQ(lastErrorIn(R"({"level":"info","msg":"fine"})"), "");
  EXPECT_EQ(lastErrorIn(R"({"level":"error","msg":5})"), "");
}

TEST(LastError, IsBounded) {
  const std::string log = R"({"level":"error","msg":")" + std::string(100000, 'x') + "\"}";
  EXPECT_LE(lastErrorIn(log).size(), 2048u);
  EXPECT_LE(lastErrorIn(std::string(100000, 'y')).size(), 2048u);
}

TEST(LastError, IsUtf8AlsoWhereItIsCut) {
  // One byte before the characters of two, so that the bound falls into one of them.
  std::string text = "x";
  while (text.size() < 2300) text += "é";
  for (const std::string& quoted : {text, "y" + text}) {
    const std::string said = lastErrorIn(R"({"level":"error","msg":")" + quoted + "\"}");
    EXPECT_TRUE(support::isUtf8(said));
    EXPECT_GT(said.size(), 2040u);
    EXPECT_LE(said.size(), 2048u);
    EXPECT_TRUE(support::isUtf8(lastErrorIn(quoted)));
    EXPECT_LE(lastErrorIn(quoted).size(), 2048u);
  }
  EXPECT_EQ(lastErrorIn("no \xFF there"), "no \uFFFD there");
}

// ---- sysctlPath --------------------------------------------------------------------------------

TEST(Sysctl, NamesBecomePaths) {
  protocol::StartRequest config;
  config.net = protocol::NamespaceMode::kNew;
  config.ipc = protocol::NamespaceMode::kNew;
  config.uts = protocol::NamespaceMode::kNew;
  const std::pair<const char*, const char*> cases[] = {
      {"net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"},
      {"net/ipv4/conf/eth0.1/rp_filter", "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"},
      {"net.ipv4.conf.eth0/1.rp_filter", "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"},
      {"kernel.shmmax", "/proc/sys/kernel/shmmax"},
      {"kernel.msgmnb", "/proc/sys/kernel/msgmnb"},
      {"kernel.sem", "/proc/sys/kernel/sem"},
      {"kernel.sem_next_id", "/proc/sys/kernel/sem_next_id"},
      {"kernel.shm_next_id", "/proc/sys/kernel/shm_next_id"},
      {"kernel.auto_msgmni", "/proc/sys/kernel/auto_msgmni"},
      {"kernel.domainname", "/proc/sys/kernel/domainname"},
      {"fs.mqueue.msg_max", "/proc/sys/fs/mqueue/msg_max"},
  };
  for (const auto& [name, expected] : cases) {
    std::string path;
    EXPECT_EQ(sysctlPath(config, name, path).code, Code::kOk) << name;
    EXPECT_EQ(path, expected);
  }
}

TEST(Sysctl, OthersAreRefused) {
  protocol::StartRequest config;
  config.net = protocol::NamespaceMode::kNew;
  config.ipc = protocol::NamespaceMode::kNew;
  for (const char* name :
       {"", "/", "net/../kernel/panic", "/net/x", "net//x", "kernel.panic", "vm.swappiness",
        "fs.file-max", "kernel.semi", "kernel.msg", "kernel.hostname"}) {
    std::string path;
    EXPECT_EQ(sysctlPath(config, name, path).code, Code::kInvalidArgument) << name;
  }
  config.ipc = protocol::NamespaceMode::kHost;
  std::string path;
  const Status status = sysctlPath(config, "kernel.shmmax", path);
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_THAT(status.message, HasSubstr("IPC"));
  EXPECT_THAT(sysctlPath(config, "kernel.domainname", path).message, HasSubstr("UTS"));
}

// ---- numbers -----------------------------------------------------------------------------------

TEST(Numbers, Both) {
  EXPECT_EQ(std::string_view(Number(INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(std::string_view(Number(0)), "0");
  EXPECT_EQ(std::string_view(Number(UINT64_MAX)), "18446744073709551615");
  uint64_t value = 1;
  EXPECT_TRUE(parseNumber("18446744073709551615", value));
  EXPECT_EQ(value, UINT64_MAX);
  for (const char* text : {"", "-1", "18446744073709551616", "1x", " 1"}) {
    EXPECT_FALSE(parseNumber(text, value)) << text;
  }
}

}  // namespace
}  // namespace berth::runc::monitor
