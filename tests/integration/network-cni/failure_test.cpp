// Plugins that fail or hang: nothing stays behind.
#include <chrono>

#include <gmock/gmock.h>

#include "berth/support/status.hpp"
#include "network_fixture.hpp"

namespace berth::cni_test {
namespace {

using support::strCat;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kError[] =
    R"(echo '{"cniVersion": "1.0.0", "code": 123, "msg": "broken", "details": "on purpose"}'; exit 1)";

class FailureTest : public NetworkTest {
 protected:
  void SetUp() override {
    NetworkTest::SetUp();
    write("net.d/10-test.conflist", bridgeNetwork());
  }
  // A wrapper of Debian's plugin of the same name.
  void wrap(const std::string& type, const std::string& onAdd, const std::string& onDel = {}) {
    const std::string real = strCat(kDebianPlugins, "/", type);
    writePlugin(type, strCat("REAL=", real, "\ncase $CNI_COMMAND in\nADD) ", onAdd, ";;\nDEL) ",
                             onDel.empty() ? ":" : onDel, ";;\nesac\nexec $REAL"));
  }
};

class EachPlugin : public FailureTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // Which plugin of the chain is told of: host-local is called by the bridge.
  static std::string named() {
    return std::string_view(GetParam()) == "host-local" ? "bridge" : GetParam();
  }
};

TEST_P(EachPlugin, FailsBeforeItDoesAnything) {
  wrap(GetParam(), kError);
  const Outcome attached = start().attach(newPod("pod-a"));
  EXPECT_EQ(attached.code, BERTH_INTERNAL);
  EXPECT_THAT(attached.message, AllOf(HasSubstr(named()), HasSubstr("broken"),
                                      HasSubstr("on purpose"), HasSubstr("123")));
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_P(EachPlugin, FailsAfterItsWork) {
  wrap(GetParam(), strCat("$REAL >/dev/null; ", kError));
  const Outcome attached = start().attach(newPod("pod-a"));
  EXPECT_EQ(attached.code, BERTH_INTERNAL);
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

// Its failing DEL must not keep the others from releasing; detach tries again.
TEST_P(EachPlugin, FailsToAddAndToDelete) {
  wrap(GetParam(), kError, kError);
  const Pod pod = newPod("pod-a");
  const Outcome attached = start().attach(pod);
  EXPECT_EQ(attached.code, BERTH_INTERNAL);
  EXPECT_THAT(attached.message, AllOf(HasSubstr("ADD"), HasSubstr("DEL")));
  EXPECT_THAT(records(), SizeIs(1));
  EXPECT_EQ(plugin().detach(pod).code, BERTH_INTERNAL);
  wrap(GetParam(), kError);
  const Outcome detached = plugin().detach(pod);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

// Killed between making a reservation's file and writing into it whose it is.
TEST_F(FailureTest, HostLocalLeavesAReservationWithoutAnOwner) {
  Pod pod = newPod("pod-a");
  ASSERT_TRUE(start().attach(pod).ok());
  const std::vector<std::string> held = reservations();
  wrap("host-local", strCat(": > ", path("ipam/test-net"), "/10.254.254.254; kill -9 $$"));
  EXPECT_EQ(plugin().attach(newPod("pod-b")).code, BERTH_INTERNAL);
  EXPECT_EQ(reservations(), held) << "what is another pod's stays, and nothing else";
  EXPECT_THAT(records(), Each(StartsWith("pod-a@")));
}

INSTANTIATE_TEST_SUITE_P(Chain, EachPlugin,
                         ::testing::Values("bridge", "host-local", "portmap", "bandwidth"));

TEST_F(FailureTest, HangsUntilTheDeadline) {
  wrap("portmap", "sleep 1000");
  const Pod pod = newPod("pod-a");
  const auto begin = std::chrono::steady_clock::now();
  const TestOp op(std::chrono::seconds(2));
  const Outcome attached = start().attach(pod, op);
  EXPECT_EQ(attached.code, BERTH_DEADLINE_EXCEEDED) << attached.message;
  EXPECT_THAT(attached.message, HasSubstr("portmap ADD"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  // On a slow machine giving back may not have had the time; then it is left to detach.
  const Outcome detached = plugin().detach(pod);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(FailureTest, IsCancelled) {
  wrap("portmap", "sleep 1000");
  const Pod pod = newPod("pod-a");
  TestOp op;
  op.onStage = [&](const std::string& stage) {
    if (stage == "CNI ADD portmap") op.cancel();
  };
  const Outcome attached = start().attach(pod, op);
  EXPECT_EQ(attached.code, BERTH_CANCELLED) << attached.message;
  EXPECT_TRUE(plugin().detach(pod).ok());
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(FailureTest, TryAgainLaterIsUnavailable) {
  wrap("bridge", R"(echo '{"code": 11, "msg": "try again later"}'; exit 1)");
  EXPECT_EQ(start().attach(newPod("pod-a")).code, BERTH_UNAVAILABLE);
}

TEST_F(FailureTest, PrintsNoJson) {
  wrap("bridge", "echo 'no address left' >&2; exit 3");
  const Outcome attached = start().attach(newPod("pod-a"));
  EXPECT_EQ(attached.code, BERTH_INTERNAL);
  EXPECT_THAT(attached.message, AllOf(HasSubstr("exit code 3"), HasSubstr("no address left")));
}

TEST_F(FailureTest, SucceedsWithoutAResult) {
  wrap("bandwidth", "exit 0");
  const Outcome attached = start().attach(newPod("pod-a"));
  EXPECT_FALSE(attached.ok());
  EXPECT_THAT(attached.message, HasSubstr("bandwidth"));
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(FailureTest, NamespaceDoesNotExist) {
  const Outcome attached =
      start().attach(Pod{.id = "pod-a", .namespacePath = path("netns/missing")});
  EXPECT_EQ(attached.code, BERTH_NOT_FOUND);
  EXPECT_THAT(attached.message, HasSubstr("netns/missing"));
  EXPECT_THAT(records(), IsEmpty());
}

// Stopping a pod that was never attached does not depend on the plugins.
TEST_F(FailureTest, DetachesUnknownPodsWithBrokenPlugins) {
  wrap("bridge", kError, kError);
  EXPECT_TRUE(start().detach(Pod{.id = "pod-a"}).ok());
}

}  // namespace
}  // namespace berth::cni_test
