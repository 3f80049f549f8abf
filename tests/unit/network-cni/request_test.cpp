// What plugins are given: CNI_ARGS, capability arguments, request configurations.
#include <gmock/gmock.h>

#include "attachment_record.hpp"
#include "chain.hpp"

namespace berth::cni {
namespace {

namespace bj = boost::json;
using ::testing::HasSubstr;

NetworkRequest request() {
  NetworkRequest result;
  result.pod = "pod-1";
  result.name = "web";
  result.podNamespace = "shop";
  result.uid = "u-1";
  result.namespacePath = "/run/netns/pod-1";
  return result;
}

NetworkConfig network(std::string_view plugins) {
  return *parseNetwork(
      R"({"cniVersion": "1.0.0", "name": "net", "plugins": )" + std::string(plugins) + "}", "net",
      FileKind::kList);
}

TEST(RequestTest, BuildsTheArguments) {
  EXPECT_EQ(cniArguments(request()),
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;"
            "K8S_POD_INFRA_CONTAINER_ID=pod-1;K8S_POD_UID=u-1");
}

TEST(RequestTest, RefusesValuesThatWouldAddArguments) {
  NetworkRequest bad = request();
  bad.uid = "u;IP=10.0.0.1";
  EXPECT_THAT(std::string(checkRequest(bad).message()), HasSubstr("K8S_POD_UID"));
  bad = request();
  bad.pod = "../pod";
  EXPECT_EQ(checkRequest(bad).code(), absl::StatusCode::kInvalidArgument);
  bad = request();
  bad.portMappings = {{BERTH_PROTOCOL_TCP, 80, 70000, 0, {}}};
  EXPECT_THAT(std::string(checkRequest(bad).message()), HasSubstr("70000"));
  EXPECT_TRUE(checkRequest(request()).ok());
}

TEST(RequestTest, HasNoCapabilityWithoutAValue) {
  EXPECT_TRUE(capabilityArguments(request()).empty());
}

TEST(RequestTest, BuildsAllCapabilities) {
  NetworkRequest full = request();
  full.portMappings = {{BERTH_PROTOCOL_TCP, 80, 8080, 0, str("127.0.0.1")},
                       {BERTH_PROTOCOL_UDP, 53, 5353, 0, {}},
                       {BERTH_PROTOCOL_SCTP, 7, 7000, 0, {}}};
  full.ingressRate = 1000;
  full.ingressBurst = 2000;
  full.dnsServers = {"10.0.0.10"};
  full.dnsSearches = {"shop.svc"};
  full.dnsOptions = {"ndots:5"};
  full.ips = {"10.1.2.3"};
  full.mac = "02:00:00:00:00:01";
  full.cgroupPath = "/kubepods/pod-1";
  full.annotations = {{"a", "b"}};
  EXPECT_EQ(bj::value(capabilityArguments(full)), bj::parse(R"({
    "portMappings": [
      {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"},
      {"hostPort": 5353, "containerPort": 53, "protocol": "udp"},
      {"hostPort": 7000, "containerPort": 7, "protocol": "sctp"}],
    "bandwidth": {"ingressRate": 1000, "ingressBurst": 2000, "egressRate": 0, "egressBurst": 0},
    "dns": {"servers": ["10.0.0.10"], "searches": ["shop.svc"], "options": ["ndots:5"]},
    "ips": ["10.1.2.3"], "mac": "02:00:00:00:00:01", "cgroupPath": "/kubepods/pod-1",
    "io.kubernetes.cri.pod-annotations": {"a": "b"}})"));
}

TEST(RequestTest, GivesAPluginOnlyWhatItDeclares) {
  NetworkRequest full = request();
  full.mac = "02:00:00:00:00:01";
  full.ips = {"10.1.2.3"};
  const NetworkConfig config = network(R"([
    {"type": "a", "own": {"x": 1}, "capabilities": {"mac": true, "ips": false, "dns": true},
     "cni.dev/reserved": 1},
    {"type": "b"}])");
  const AttachmentRecord record = newRecord(full, "eth0", config);
  EXPECT_EQ(bj::value(requestConfig(record, config.plugins[0], nullptr)), bj::parse(R"({
    "type": "a", "own": {"x": 1}, "name": "net", "cniVersion": "1.0.0",
    "runtimeConfig": {"mac": "02:00:00:00:00:01"}})"));
  const bj::object previous{{"cniVersion", "1.0.0"}};
  EXPECT_EQ(bj::value(requestConfig(record, config.plugins[1], &previous)), bj::parse(R"({
    "type": "b", "name": "net", "cniVersion": "1.0.0", "prevResult": {"cniVersion": "1.0.0"}})"));
}

TEST(RequestTest, KeepsCapabilitiesInNetworkWideVerbs) {
  const NetworkConfig config = network(R"([{"type": "a", "capabilities": {"mac": true}}])");
  EXPECT_EQ(bj::value(networkWideConfig(config, config.plugins[0])), bj::parse(R"({
    "type": "a", "capabilities": {"mac": true}, "name": "net", "cniVersion": "1.0.0"})"));
}

}  // namespace
}  // namespace berth::cni
