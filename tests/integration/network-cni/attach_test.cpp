// Attaching, checking and detaching with Debian's bridge, host-local, portmap and bandwidth.
#include <algorithm>
#include <ifaddrs.h>
#include <net/if.h>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "network_fixture.hpp"

namespace berth::cni_test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class AttachTest : public NetworkTest {
 protected:
  void SetUp() override {
    NetworkTest::SetUp();
    write("net.d/10-test.conflist", bridgeNetwork());
    start();
  }
};

// Interfaces that are up, with "/address" for those with an IPv4 address.
std::set<std::string> interfacesUp(const Pod& pod) {
  std::set<std::string> result;
  inNamespace(pod, [&] {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return;
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
      if ((one->ifa_flags & IFF_UP) == 0) continue;
      result.insert(one->ifa_name);
      if (one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET)
        result.insert(std::string(one->ifa_name) + "/inet");
    }
    ::freeifaddrs(list);
  });
  return result;
}

TEST_F(AttachTest, ConnectsAndReleases) {
  const Pod pod = newPod("pod-a");
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  ASSERT_THAT(attached.addresses, SizeIs(1));
  EXPECT_THAT(reservations(), Contains(attached.addresses[0]));
  EXPECT_THAT(attached.result, HasSubstr(attached.addresses[0]));
  const auto up = interfacesUp(pod);
  EXPECT_THAT(up, Contains("eth0/inet"));
  EXPECT_THAT(up, Contains("lo/inet"));

  const Outcome detached = plugin().detach(pod, attached.state);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
  EXPECT_THAT(interfacesUp(pod), ::testing::Not(Contains("eth0")));
}

TEST_F(AttachTest, DetachesTwice) {
  const Pod pod = newPod("pod-a");
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
  const Outcome again = plugin().detach(pod, attached.state);
  EXPECT_TRUE(again.ok()) << again.message;
  const Outcome without = plugin().detach(pod);
  EXPECT_TRUE(without.ok()) << without.message;
}

TEST_F(AttachTest, DetachesUnknownPods) {
  const Outcome detached = plugin().detach(Pod{.id = "never-attached"});
  EXPECT_TRUE(detached.ok()) << detached.message;
}

// As after a crash between ADD and the host's record of it: another configuration is in use by
// then.
TEST_F(AttachTest, DetachesWithoutStateByItsOwnRecord) {
  const Pod pod = newPod("pod-a");
  ASSERT_TRUE(plugin().attach(pod).ok());
  write("net.d/10-test.conflist", R"({"cniVersion": "1.0.0", "name": "other", "plugins": [
      {"type": "ptp", "ipam": {"type": "static"}}]})");
  const Outcome detached = restart().detach(pod);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(AttachTest, DetachesByStateAlone) {
  const Pod pod = newPod("pod-a");
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  write("net.d/10-test.conflist", "{}");
  const Outcome detached = start({{"cache_dir", path("other-cache")}}).detach(pod, attached.state);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(AttachTest, DetachesWhenTheNamespaceIsGone) {
  Pod pod = newPod("pod-a");
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  removeNamespace(pod);  // the file it was mounted on is still there
  Outcome detached = plugin().detach(pod, attached.state);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());

  Pod other = newPod("pod-b");
  ASSERT_TRUE(plugin().attach(other).ok());
  removeNamespace(other);
  other.namespacePath.clear();
  detached = plugin().detach(other);
  EXPECT_TRUE(detached.ok()) << detached.message;
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(AttachTest, AttachesAgainAfterAnAttachmentThatNobodyUndid) {
  const Pod pod = newPod("pod-a");
  ASSERT_TRUE(plugin().attach(pod).ok());
  const Outcome again = plugin().attach(pod);
  ASSERT_TRUE(again.ok()) << again.message;
  EXPECT_THAT(reservations(), SizeIs(1));
  EXPECT_TRUE(plugin().detach(pod, again.state).ok());
  EXPECT_THAT(reservations(), IsEmpty());
}

// Such a pod goes with the version that knows what it has.
TEST_F(AttachTest, AnAttachmentOfANewerVersionIsLeftAlone) {
  write("net.d/10-test.conflist", bridgeNetwork("test-net", "1.0.0", Bandwidth::kNone));
  const Pod pod = newPod("pod-a");
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  const std::string file = "cache/pod-a@eth0.attachment";
  const std::string known = read(file);
  const auto newer = [](std::string text) {
    const size_t at = text.find(R"("format":1)");
    EXPECT_NE(at, std::string::npos) << text;
    return text.replace(at, 10, R"("format":2)");
  };
  write(file, newer(known));
  restart();
  EXPECT_THAT(plugin().log(), AllOf(HasSubstr("left alone"), Not(HasSubstr("damaged"))));
  const std::string state = newer(attached.state);
  for (const Outcome& outcome :
       {plugin().detach(pod), plugin().detach(pod, state), plugin().detach(pod, attached.state),
        plugin().check(pod), plugin().check(pod, state), plugin().attach(pod), plugin().gc({})}) {
    EXPECT_EQ(outcome.code, BERTH_FAILED_PRECONDITION) << outcome.message;
    EXPECT_THAT(outcome.message, HasSubstr("format 2 of a newer version"));
  }
  EXPECT_EQ(reservations(), attached.addresses);
  EXPECT_EQ(read(file), newer(known));
  write(file, known);
  EXPECT_TRUE(plugin().check(pod).ok());
  EXPECT_TRUE(plugin().detach(pod).ok());
  EXPECT_THAT(reservations(), IsEmpty());
}

TEST_F(AttachTest, MapsPorts) {
  Pod pod = newPod("pod-a");
  const PodServer server(pod);
  const int hostPort = freePort();
  pod.ports = {{BERTH_PROTOCOL_TCP, server.port(), hostPort, 0, str("")}};
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  std::string gateway = attached.addresses[0];
  gateway = gateway.substr(0, gateway.rfind('.')) + ".1";
  EXPECT_EQ(fetch(gateway, hostPort), "hello");
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
  EXPECT_EQ(fetch(gateway, hostPort), "");
}

TEST_F(AttachTest, LimitsBandwidth) {
  Pod pod = newPod("pod-a");
  pod.ingressRate = 10'000'000;
  pod.ingressBurst = 10'000'000;
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  const Outcome checked = plugin().check(pod, attached.state);
  EXPECT_TRUE(checked.ok()) << checked.message;
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
}

TEST_F(AttachTest, ChecksAnAttachment) {
  write("net.d/10-test.conflist", bridgeNetwork("test-net", "1.0.0", Bandwidth::kNone));
  const Pod pod = newPod("pod-a");
  EXPECT_EQ(plugin().check(pod).code, BERTH_FAILED_PRECONDITION);
  const Outcome attached = plugin().attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  Outcome checked = plugin().check(pod, attached.state);
  EXPECT_TRUE(checked.ok()) << checked.message;
  inNamespace(pod, [] { ASSERT_EQ(std::system("ip link delete eth0"), 0); });
  checked = plugin().check(pod, attached.state);
  EXPECT_EQ(checked.code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(checked.message, HasSubstr("bridge CHECK"));
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
}

TEST_F(AttachTest, TenPodsAtOnce) {
  constexpr int kPods = 10;
  std::vector<Pod> pods;
  for (int i = 0; i < kPods; ++i) pods.push_back(newPod("pod-" + std::to_string(i)));
  std::vector<Outcome> outcomes(kPods);
  const auto onAll = [&](auto&& call) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kPods; ++i) threads.emplace_back([&, i] { call(i); });
    for (std::thread& thread : threads) thread.join();
  };
  onAll([&](size_t i) { outcomes[i] = plugin().attach(pods[i]); });
  std::set<std::string> addresses;
  for (const Outcome& outcome : outcomes) {
    ASSERT_TRUE(outcome.ok()) << outcome.message;
    addresses.insert(outcome.addresses.begin(), outcome.addresses.end());
  }
  EXPECT_THAT(addresses, SizeIs(kPods));
  onAll([&](size_t i) { outcomes[i] = plugin().detach(pods[i], outcomes[i].state); });
  for (const Outcome& outcome : outcomes) EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_THAT(reservations(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(AttachTest, NoMorePodsAtOnceThanConfigured) {
  // Two that run at once find each other's folder.
  const std::string inside = path("inside");
  writePlugin("bridge", "if [ $CNI_COMMAND = ADD ]; then mkdir " + inside + " || touch " +
                            path("together") + "; sleep 0.1; rmdir " + inside + "; fi\nexec " +
                            kDebianPlugins + "/bridge");
  start({{"max_concurrent", 1}});
  constexpr size_t kPods = 4;
  std::vector<Pod> pods;
  for (size_t i = 0; i < kPods; ++i) pods.push_back(newPod("pod-" + std::to_string(i)));
  std::vector<Outcome> outcomes(kPods);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kPods; ++i)
    threads.emplace_back([&, i] { outcomes[i] = plugin().attach(pods[i]); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(support::pathExists(path("together")));
  for (size_t i = 0; i < kPods; ++i) {
    EXPECT_TRUE(outcomes[i].ok()) << outcomes[i].message;
    EXPECT_TRUE(plugin().detach(pods[i], outcomes[i].state).ok());
  }
}

TEST_F(AttachTest, TheInterfaceIsCalledAsConfigured) {
  const Pod pod = newPod("pod-a");
  const Outcome attached = start({{"interface", "net0"}}).attach(pod);
  ASSERT_TRUE(attached.ok()) << attached.message;
  EXPECT_THAT(interfacesUp(pod), Contains("net0/inet"));
  EXPECT_THAT(interfacesUp(pod), ::testing::Not(Contains("eth0")));
  EXPECT_THAT(attached.addresses, SizeIs(1));
  EXPECT_TRUE(plugin().detach(pod, attached.state).ok());
}

TEST_F(AttachTest, SpeaksOlderVersions) {
  for (const char* version : {"0.3.1", "0.4.0"}) {
    write("net.d/10-test.conflist", bridgeNetwork("test-net", version, Bandwidth::kNone));
    const Pod pod = newPod(std::string("pod-") + version);
    const Outcome attached = plugin().attach(pod);
    ASSERT_TRUE(attached.ok()) << version << ": " << attached.message;
    EXPECT_THAT(attached.addresses, SizeIs(1)) << version;
    EXPECT_TRUE(plugin().check(pod, attached.state).ok()) << version;
    const Outcome detached = plugin().detach(pod, attached.state);
    EXPECT_TRUE(detached.ok()) << version << ": " << detached.message;
    EXPECT_THAT(reservations(), IsEmpty()) << version;
  }
}

TEST_F(AttachTest, RefusesWhatCannotBePassedOn) {
  Pod pod = newPod("pod-a");
  pod.name = "web;K8S_POD_NAMESPACE=kube-system";
  const Outcome attached = plugin().attach(pod);
  EXPECT_EQ(attached.code, BERTH_INVALID_ARGUMENT);
  EXPECT_THAT(attached.message, HasSubstr("K8S_POD_NAME"));
  EXPECT_THAT(records(), IsEmpty());
}

}  // namespace
}  // namespace berth::cni_test
