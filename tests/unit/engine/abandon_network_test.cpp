#include "engine/abandon_network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

records::PodRecord stuck() {
  records::PodRecord record;
  record.set_id("pod-1");
  record.set_state(records::POD_STOPPING);
  record.mutable_config()->mutable_metadata()->set_name("web");
  record.mutable_config()->mutable_metadata()->set_namespace_("default");
  record.mutable_network()->set_wanted(true);
  record.mutable_network()->set_network("cni");
  record.mutable_network()->add_addresses("10.88.0.5");
  return record;
}

const absl::Status kFailed = absl::FailedPreconditionError("no program");

void expectRefused(const absl::Status& status, const std::string& words) {
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(AbandonNetwork, IsForAPodThatOnlyItsNetworkKeeps) {
  EXPECT_TRUE(checkAbandonable(stuck(), "", kFailed).ok());
  records::PodRecord pod = stuck();
  pod.set_state(records::POD_CREATING);
  EXPECT_TRUE(checkAbandonable(pod, "", kFailed).ok()) << "that is undone";
}

TEST(AbandonNetwork, SaysWhatToDoInstead) {
  records::PodRecord pod = stuck();
  pod.set_state(records::POD_READY);
  expectRefused(checkAbandonable(pod, "", kFailed), "crictl stopp pod-1");
  expectRefused(checkAbandonable(stuck(), "", absl::OkStatus()), "crictl stopp pod-1");
  expectRefused(checkAbandonable(stuck(), "c-1", kFailed), "crictl stop --timeout 0 c-1");
  pod = stuck();
  pod.mutable_network()->set_wanted(false);
  expectRefused(checkAbandonable(pod, "", kFailed), "no network");
}

TEST(AbandonNetwork, TellsWhatMayStayTaken) {
  records::PodRecord pod = stuck();
  for (const auto& [ip, hostPort] : {std::pair("", 8080), {"127.0.0.1", 53}, {"", 0}}) {
    auto& port = *pod.mutable_config()->add_port_mappings();
    port.set_protocol(hostPort == 53 ? runtime::v1::UDP : runtime::v1::TCP);
    port.set_container_port(80);
    port.set_host_port(hostPort);
    port.set_host_ip(ip);
  }
  const AbandonedNetwork lost = abandonedNetwork(pod);
  EXPECT_EQ(lost.pod, "pod-1");
  EXPECT_EQ(lost.name, "default/web");
  EXPECT_EQ(lost.network, "cni");
  EXPECT_THAT(lost.addresses, ElementsAre("10.88.0.5"));
  EXPECT_THAT(lost.hostPorts, ElementsAre("8080/TCP", "127.0.0.1:53/UDP"));
  EXPECT_EQ(lost.unfinished, "");
}

}  // namespace
}  // namespace berth::engine
