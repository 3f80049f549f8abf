// Garbage collection, and the verbs that came with version 1.1 of the specification.
#include <gmock/gmock.h>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "network_fixture.hpp"

namespace berth::cni_test {
namespace {

using support::strCat;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class GcTest : public NetworkTest {
 protected:
  // A plugin of version 1.1 that notes each verb and its configuration, and obeys "status".
  void writeModernNetwork() {
    writePlugin("modern",
                strCat("echo \"$CNI_COMMAND $CNI_CONTAINERID $(cat)\" >>", path("log"), R"(
case $CNI_COMMAND in
ADD) echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.1.2.3/24"}]}';;
STATUS) if [ -e )",
                       path("status"), R"( ]; then cat )", path("status"), R"(; exit 1; fi;;
esac)"));
    write("net.d/10-modern.conflist",
          R"({"cniVersion": "1.1.0", "name": "modern", "plugins": [{"type": "modern"}]})");
  }
};

TEST_F(GcTest, ReleasesWhatIsNotWanted) {
  write("net.d/10-test.conflist", bridgeNetwork("test-net", "1.0.0", Bandwidth::kNone));
  start();
  const Pod kept = newPod("kept");
  const Pod stale = newPod("stale");
  const Outcome keptState = plugin().attach(kept);
  const Outcome staleState = plugin().attach(stale);
  ASSERT_TRUE(keptState.ok()) << keptState.message;
  ASSERT_TRUE(staleState.ok()) << staleState.message;
  const Outcome collected = plugin().gc({{"kept", keptState.state}});
  EXPECT_TRUE(collected.ok()) << collected.message;
  EXPECT_EQ(reservations(), keptState.addresses);
  EXPECT_TRUE(plugin().check(kept, keptState.state).ok());
  EXPECT_TRUE(plugin().detach(kept, keptState.state).ok());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(GcTest, ReleasesWhatARestartHasForgotten) {
  write("net.d/10-test.conflist", bridgeNetwork());
  ASSERT_TRUE(start().attach(newPod("stale")).ok());
  const Outcome collected = restart().gc({});
  EXPECT_TRUE(collected.ok()) << collected.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(GcTest, TellsModernPluginsWhatIsValid) {
  writeModernNetwork();
  start();
  const Pod pod = newPod("kept");
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_THAT(attached.addresses, ElementsAre("10.1.2.3"));
  write("log", "");
  const Outcome collected = plugin().gc({{"kept", attached.state}});
  EXPECT_TRUE(collected.ok()) << collected.message;
  EXPECT_THAT(
      read("log"),
      AllOf(StartsWith("GC "),
            HasSubstr(R"("cni.dev/valid-attachments":[{"containerID":"kept","ifname":"eth0"}])"),
            Not(HasSubstr("DEL"))));
}

// It is no garbage to the network's plugins either.
TEST_F(GcTest, WhatOnlyANewerVersionCanReadIsValid) {
  writeModernNetwork();
  ASSERT_TRUE(start().attach(newPod("newer")).ok());
  const std::string file = "cache/newer@eth0.attachment";
  write(file, R"({"format":2})");
  write("log", "");
  EXPECT_EQ(plugin().gc({}).code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(read("log"), AllOf(StartsWith("GC "), HasSubstr(R"({"containerID":"newer")"),
                                 Not(HasSubstr("DEL"))));
  EXPECT_EQ(read(file), R"({"format":2})");
}

// The host may have lost its record of the pod: only an operator lets go of what it holds.
TEST_F(GcTest, OnlyWhatIsAbandonedIsForgotten) {
  write("net.d/10-test.conflist", bridgeNetwork("test-net", "1.0.0", Bandwidth::kNone));
  writePlugin("portmap", "case $CNI_COMMAND in DEL) exit 1;; esac\nexec /usr/lib/cni/portmap");
  Pod pod = newPod("stuck");
  const Outcome attached = start().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_EQ(plugin().detach(pod, attached.state).code, BERTH_INTERNAL);
  EXPECT_FALSE(restart().gc({}).ok());
  EXPECT_THAT(records(), Contains("stuck@eth0.attachment"));

  pod.annotations = {{str(BERTH_NETWORK_ABANDONED), str("true")}};
  const Outcome abandoned = plugin().detach(pod, attached.state);
  EXPECT_TRUE(abandoned.ok()) << abandoned.message;
  EXPECT_THAT(records(), IsEmpty());
  EXPECT_THAT(plugin().log(), HasSubstr("abandoned"));
  const Outcome collected = plugin().gc({});
  EXPECT_TRUE(collected.ok()) << collected.message;
}

// What hangs may not outlast the call, and is forgotten all the same.
TEST_F(GcTest, WhatHangsIsForgottenWhenItsTimeIsUp) {
  write("net.d/10-test.conflist", bridgeNetwork("test-net", "1.0.0", Bandwidth::kNone));
  writePlugin("portmap",
              "case $CNI_COMMAND in DEL) exec sleep 1000;; esac\nexec /usr/lib/cni/portmap");
  Pod pod = newPod("stuck");
  const Outcome attached = start().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  pod.annotations = {{str(BERTH_NETWORK_ABANDONED), str("true")}};
  const Outcome abandoned =
      plugin().detach(pod, attached.state, TestOp(std::chrono::milliseconds(500)));
  EXPECT_TRUE(abandoned.ok()) << abandoned.message;
  EXPECT_THAT(records(), IsEmpty());
  // As whoever puts the program back releases what it took.
  pod.annotations.clear();
  writePlugin("portmap", "exec /usr/lib/cni/portmap");
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(GcTest, LeavesGcOutWhenTheConfigurationForbidsIt) {
  writeModernNetwork();
  write(
      "net.d/10-modern.conflist",
      R"({"cniVersion": "1.1.0", "name": "modern", "disableGC": true, "plugins": [{"type": "modern"}]})");
  EXPECT_TRUE(start().gc({}).ok());
  EXPECT_EQ(read("log"), "");
}

TEST_F(GcTest, AsksModernPluginsForTheirStatusOnce) {
  writeModernNetwork();
  start();
  for (int i = 0; i < 3; ++i) {
    const Outcome status = plugin().status();
    EXPECT_TRUE(status.ok()) << status.message;
  }
  const std::string log = read("log");
  EXPECT_THAT(log, StartsWith("STATUS "));
  EXPECT_EQ(log.find("STATUS", 1), std::string::npos);
}

TEST_F(GcTest, PassesOnWhyAPluginIsNotReady) {
  writeModernNetwork();
  write("status", R"({"cniVersion": "1.1.0", "code": 50, "msg": "no addresses left"})");
  const Outcome status = start().status();
  EXPECT_EQ(status.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(status.message, AllOf(HasSubstr("no addresses left"), HasSubstr("modern")));
}

// CHECK and DEL get the result of ADD.
TEST_F(GcTest, HandsTheResultOn) {
  writeModernNetwork();
  const Pod pod = newPod("pod-a");
  const Outcome attached = start().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  for (const char* verb : {"CHECK", "DEL"}) {
    write("log", "");
    const Outcome outcome = std::string(verb) == "DEL" ? plugin().detach(pod) : plugin().check(pod);
    EXPECT_TRUE(outcome.ok()) << outcome.message;
    EXPECT_THAT(read("log"), AllOf(StartsWith(strCat(verb, " pod-a ")), HasSubstr("prevResult"),
                                   HasSubstr("10.1.2.3/24")));
  }
}

}  // namespace
}  // namespace berth::cni_test
