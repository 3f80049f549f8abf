#include "engine/network_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseQuantity, TakesWhatKubernetesWrites) {
  const std::pair<const char*, uint64_t> table[] = {
      {"0", 0},      {"1500000", 1500000},         {"10M", 10000000}, {"1.5k", 1500},
      {"1Ki", 1024}, {"1Gi", 1073741824},          {"0.5Mi", 524288}, {"1e6", 1000000},
      {"1E3", 1000}, {"1E", 1000000000000000000},  {"2500m", 3},  // rounded up, as the API does
      {"1m", 1},     {"4Ei", 4611686018427387904},
  };
  for (const auto& [text, expected] : table) {
    const auto parsed = parseQuantity(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    EXPECT_EQ(*parsed, expected) << text;
  }
}

TEST(ParseQuantity, RefusesWhatIsNone) {
  for (const char* text : {"", "M", "ten", "10 M", " 10", "10MB", "10mi", "-1", "-1k", "inf", "nan",
                           "1e400", "8Ei", "100E", "0x10", "1,5", "1.5.5", "--1", "KiB"}) {
    const auto parsed = parseQuantity(text);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(support::fromAbsl(parsed.status().message())), HasSubstr(text));
  }
}

records::PodRecord pod() {
  records::PodRecord record;
  record.set_id("pod-1");
  auto& config = *record.mutable_config();
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("uid-1");
  (*record.mutable_namespaces())[BERTH_NAMESPACE_NETWORK] = "/run/netns/1";
  return record;
}

TEST(NetworkRequestTest, CarriesNamesNamespaceAndDns) {
  records::PodRecord record = pod();
  record.mutable_config()->mutable_dns_config()->add_servers("192.0.2.53");
  record.mutable_config()->mutable_dns_config()->add_searches("cluster.local");
  record.mutable_config()->mutable_dns_config()->add_options("ndots:5");
  record.mutable_config()->mutable_linux()->set_cgroup_parent("/kubepods/x");
  const auto request = networkRequest(record);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->pod, "pod-1");
  EXPECT_EQ(request->name, "web");
  EXPECT_EQ(request->podNamespace, "default");
  EXPECT_EQ(request->uid, "uid-1");
  EXPECT_EQ(request->namespacePath, "/run/netns/1");
  EXPECT_EQ(request->cgroupPath, "/kubepods/x");
  EXPECT_THAT(request->dnsServers, ElementsAre("192.0.2.53"));
  EXPECT_THAT(request->dnsSearches, ElementsAre("cluster.local"));
  EXPECT_THAT(request->dnsOptions, ElementsAre("ndots:5"));
  EXPECT_EQ(request->ingressRate, 0u);
  EXPECT_TRUE(request->portMappings.empty());
}

TEST(NetworkRequestTest, OnlyPortsWithAHostPortAreMapped) {
  records::PodRecord record = pod();
  auto* mapped = record.mutable_config()->add_port_mappings();
  mapped->set_protocol(runtime::v1::UDP);
  mapped->set_container_port(53);
  mapped->set_host_port(5353);
  mapped->set_host_ip("192.0.2.1");
  record.mutable_config()->add_port_mappings()->set_container_port(80);
  const auto request = networkRequest(record);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->portMappings.size(), 1u);
  EXPECT_EQ(request->portMappings[0].protocol, BERTH_PROTOCOL_UDP);
  EXPECT_EQ(request->portMappings[0].containerPort, 53);
  EXPECT_EQ(request->portMappings[0].hostPort, 5353);
  EXPECT_EQ(request->portMappings[0].hostIp, "192.0.2.1");
}

TEST(NetworkRequestTest, PortsOutOfRangeAreRefused) {
  const std::pair<int, int> wrong[] = {{65536, 80}, {80, 0}, {80, -1}, {80, 65536}};
  for (const auto& [host, container] : wrong) {
    records::PodRecord record = pod();
    auto* port = record.mutable_config()->add_port_mappings();
    port->set_host_port(host);
    port->set_container_port(container);
    EXPECT_EQ(networkRequest(record).status().code(), absl::StatusCode::kInvalidArgument)
        << host << " to " << container;
  }
}

TEST(NetworkRequestTest, BandwidthComesFromAnnotations) {
  records::PodRecord record = pod();
  auto& annotations = *record.mutable_config()->mutable_annotations();
  annotations["kubernetes.io/ingress-bandwidth"] = "10M";
  auto request = networkRequest(record);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->ingressRate, 10000000u);
  EXPECT_GT(request->ingressBurst, 0u);
  EXPECT_EQ(request->egressRate, 0u);
  EXPECT_EQ(request->egressBurst, 0u);

  annotations["kubernetes.io/egress-bandwidth"] = "fast";
  request = networkRequest(record);
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(support::fromAbsl(request.status().message())),
              ::testing::AllOf(HasSubstr("kubernetes.io/egress-bandwidth"), HasSubstr("fast")));
}

}  // namespace
}  // namespace berth::engine
