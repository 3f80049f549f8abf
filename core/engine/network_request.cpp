#include "engine/network_request.hpp"

#include <charconv>
#include <cmath>
#include <map>
#include <string>

#include "berth/support/address.hpp"
#include "berth/support/status.hpp"

namespace berth::engine {

using support::strCat;

namespace {

// Bursts are as large as the bandwidth plugin lets them be, so that the rate alone counts, as with
// the peers.
constexpr uint64_t kBurstBits = INT32_MAX;

absl::StatusOr<berth_protocol> protocol(runtime::v1::Protocol given) {
  switch (given) {
    case runtime::v1::TCP:
      return BERTH_PROTOCOL_TCP;
    case runtime::v1::UDP:
      return BERTH_PROTOCOL_UDP;
    case runtime::v1::SCTP:
      return BERTH_PROTOCOL_SCTP;
    default:
      return absl::InvalidArgumentError(
          strCat("port_mappings: unknown protocol ", static_cast<int>(given)));
  }
}

absl::Status addPorts(const runtime::v1::PodSandboxConfig& config,
                      plugins::NetworkRequest& request) {
  for (const runtime::v1::PortMapping& port : config.port_mappings()) {
    // A mapping without a host port only documents what the container listens on.
    if (port.host_port() <= 0) continue;
    if (port.host_port() > 65535 || port.container_port() <= 0 || port.container_port() > 65535) {
      return absl::InvalidArgumentError(strCat("port_mappings: ", port.host_port(), " to ",
                                               port.container_port(), " is out of range"));
    }
    if (!port.host_ip().empty() && !support::isAddress(port.host_ip())) {
      return absl::InvalidArgumentError(
          strCat("port_mappings: host_ip \"", port.host_ip(), "\" is no IP address"));
    }
    BERTH_ASSIGN_OR_RETURN(const berth_protocol known, protocol(port.protocol()));
    request.portMappings.push_back(
        {known, port.container_port(), port.host_port(), port.host_ip()});
  }
  return absl::OkStatus();
}

absl::Status addBandwidth(const runtime::v1::PodSandboxConfig& config, const std::string& name,
                          uint64_t& rate, uint64_t& burst) {
  auto found = config.annotations().find(name);
  if (found == config.annotations().end()) return absl::OkStatus();
  auto parsed = parseQuantity(found->second);
  if (!parsed.ok()) return support::annotate(parsed.status(), strCat("annotation ", name));
  rate = *parsed;
  burst = kBurstBits;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> parseQuantity(std::string_view text) {
  static const std::map<std::string_view, double> kFactors = {
      {"", 1},        {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},     {"G", 1e9},
      {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
      {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  const auto factor = kFactors.find(suffix);
  const double value = factor == kFactors.end() ? -1 : std::ceil(number * factor->second);
  if (error != std::errc() || !(value >= 0) || value >= 0x1p63) {
    return absl::InvalidArgumentError(
        strCat("\"", text, "\" is no quantity such as 10M, 1Gi or 1500000"));
  }
  return static_cast<uint64_t>(value);
}

absl::StatusOr<plugins::NetworkRequest> networkRequest(const records::PodRecord& pod) {
  const runtime::v1::PodSandboxConfig& config = pod.config();
  plugins::NetworkRequest request;
  request.pod = pod.id();
  request.name = config.metadata().name();
  request.podNamespace = config.metadata().namespace_();
  request.uid = config.metadata().uid();
  auto path = pod.namespaces().find(BERTH_NAMESPACE_NETWORK);
  if (path != pod.namespaces().end()) request.namespacePath = path->second;
  request.cgroupPath = config.linux().cgroup_parent();
  request.annotations.insert(config.annotations().begin(), config.annotations().end());
  // Not for pods to say.
  request.annotations.erase(BERTH_NETWORK_ABANDONED);
  BERTH_RETURN_IF_ERROR(addPorts(config, request));
  BERTH_RETURN_IF_ERROR(addBandwidth(config, "kubernetes.io/ingress-bandwidth", request.ingressRate,
                                     request.ingressBurst));
  BERTH_RETURN_IF_ERROR(addBandwidth(config, "kubernetes.io/egress-bandwidth", request.egressRate,
                                     request.egressBurst));
  const runtime::v1::DNSConfig& dns = config.dns_config();
  request.dnsServers.assign(dns.servers().begin(), dns.servers().end());
  request.dnsSearches.assign(dns.searches().begin(), dns.searches().end());
  request.dnsOptions.assign(dns.options().begin(), dns.options().end());
  return request;
}

}  // namespace berth::engine
