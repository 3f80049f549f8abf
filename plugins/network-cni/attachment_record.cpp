#include "attachment_record.hpp"

#include <utility>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "options.hpp"

namespace berth::cni {
namespace {

namespace bj = boost::json;
using support::strCat;

constexpr int64_t kFormat = 1;
constexpr size_t kLongestPodId = 200;  // with the interface and an ending it is a file name

using Argument = std::pair<std::string_view, std::string_view>;

std::vector<Argument> arguments(const NetworkRequest& request) {
  return {{"IgnoreUnknown", "1"},
          {"K8S_POD_NAMESPACE", request.podNamespace},
          {"K8S_POD_NAME", request.name},
          {"K8S_POD_INFRA_CONTAINER_ID", request.pod},
          {"K8S_POD_UID", request.uid}};
}

bj::string text(std::string_view given) {
  return bj::string(given.data(), given.size());
}

bj::array texts(const std::vector<std::string_view>& given) {
  bj::array result;
  for (const std::string_view one : given) result.push_back(text(one));
  return result;
}

std::string_view protocolName(berth_protocol protocol) {
  switch (protocol) {
    case BERTH_PROTOCOL_UDP:
      return "udp";
    case BERTH_PROTOCOL_SCTP:
      return "sctp";
    default:
      return "tcp";
  }
}

bj::array portMappings(const NetworkRequest& request) {
  bj::array result;
  for (const berth_port_mapping& port : request.portMappings) {
    bj::object mapping{{"hostPort", port.host_port},
                       {"containerPort", port.container_port},
                       {"protocol", text(protocolName(port.protocol))}};
    if (!view(port.host_ip).empty()) mapping["hostIP"] = text(view(port.host_ip));
    result.push_back(std::move(mapping));
  }
  return result;
}

bj::object dns(const NetworkRequest& request) {
  bj::object result;
  if (!request.dnsServers.empty()) result["servers"] = texts(request.dnsServers);
  if (!request.dnsSearches.empty()) result["searches"] = texts(request.dnsSearches);
  if (!request.dnsOptions.empty()) result["options"] = texts(request.dnsOptions);
  return result;
}

bj::object annotations(const NetworkRequest& request) {
  bj::object result;
  for (const auto& [key, value] : request.annotations)
    result[bj::string_view(key.data(), key.size())] = text(value);
  return result;
}

absl::Status checkPort(const berth_port_mapping& port) {
  const auto inRange = [](int32_t number) { return number >= 1 && number <= 65535; };
  if (inRange(port.host_port) && inRange(port.container_port) &&
      port.protocol >= BERTH_PROTOCOL_TCP && port.protocol <= BERTH_PROTOCOL_SCTP)
    return absl::OkStatus();
  return absl::InvalidArgumentError(strCat("port mapping of host port ", port.host_port,
                                           " to port ", port.container_port,
                                           ": ports are 1 to 65535, of TCP, UDP or SCTP"));
}

}  // namespace

absl::Status checkRequest(const NetworkRequest& request) {
  if (!isIdentifier(request.pod) || request.pod.size() > kLongestPodId)
    return absl::InvalidArgumentError(
        strCat("pod id \"", request.pod,
               "\" must be letters, digits, \"_\", \".\" and \"-\", at most ", kLongestPodId));
  for (const auto& [key, value] : arguments(request)) {
    if (value.find_first_of(std::string_view(";\0", 2)) != std::string_view::npos)
      return absl::InvalidArgumentError(strCat("\"", value,
                                               "\" cannot be passed to CNI plugins as ", key,
                                               ": it contains \";\" or NUL"));
  }
  for (const berth_port_mapping& port : request.portMappings)
    BERTH_RETURN_IF_ERROR(checkPort(port));
  return absl::OkStatus();
}

std::string cniArguments(const NetworkRequest& request) {
  std::string result;
  for (const auto& [key, value] : arguments(request))
    result += strCat(result.empty() ? "" : ";", key, "=", value);
  return result;
}

bj::object capabilityArguments(const NetworkRequest& request) {
  bj::object result;
  if (!request.portMappings.empty()) result["portMappings"] = portMappings(request);
  if (request.ingressRate != 0 || request.egressRate != 0) {
    result["bandwidth"] = {{"ingressRate", request.ingressRate},
                           {"ingressBurst", request.ingressBurst},
                           {"egressRate", request.egressRate},
                           {"egressBurst", request.egressBurst}};
  }
  bj::object resolver = dns(request);
  if (!resolver.empty()) result["dns"] = std::move(resolver);
  if (!request.ips.empty()) result["ips"] = texts(request.ips);
  if (!request.mac.empty()) result["mac"] = text(request.mac);
  if (!request.cgroupPath.empty()) result["cgroupPath"] = text(request.cgroupPath);
  if (!request.annotations.empty())
    result["io.kubernetes.cri.pod-annotations"] = annotations(request);
  return result;
}

AttachmentRecord newRecord(const NetworkRequest& request, const std::string& interface,
                           const NetworkConfig& network) {
  return {.pod = std::string(request.pod),
          .interface = interface,
          .namespacePath = std::string(request.namespacePath),
          .args = cniArguments(request),
          .capabilities = capabilityArguments(request),
          .network = network,
          .result = std::nullopt};
}

std::string AttachmentRecord::encode() const {
  bj::object record{{"format", kFormat},          {"pod", pod},   {"interface", interface},
                    {"netns", namespacePath},     {"args", args}, {"capabilities", capabilities},
                    {"network", network.toJson()}};
  if (result) record["result"] = *result;
  return bj::serialize(record);
}

absl::StatusOr<AttachmentRecord> AttachmentRecord::decode(std::string_view text,
                                                          const std::string& what) {
  const auto document = support::parseJsonObject(text, what);
  if (!document.ok()) return absl::DataLossError(document.status().message());
  const int64_t format = support::intMember(*document, "format");
  if (format > kFormat)
    return absl::FailedPreconditionError(strCat(what, " has format ", format,
                                                " of a newer version; this plugin reads format ",
                                                kFormat, " at most: use the plugin that wrote it"));
  if (format < kFormat) return absl::DataLossError(strCat(what, ": its format is missing"));
  AttachmentRecord record;
  record.pod = support::stringMember(*document, "pod");
  record.interface = support::stringMember(*document, "interface");
  if (!isIdentifier(record.pod) || !isInterfaceName(record.interface))
    return absl::DataLossError(strCat(what, ": pod or interface is missing"));
  record.namespacePath = support::stringMember(*document, "netns");
  record.args = support::stringMember(*document, "args");
  if (const bj::object* given = support::objectMember(*document, "capabilities"))
    record.capabilities = *given;
  const bj::object* network = support::objectMember(*document, "network");
  if (network == nullptr) return absl::DataLossError(strCat(what, ": network is missing"));
  auto parsed = parseNetwork(*network, what, FileKind::kEither);
  // One of a CNI version that only a newer plugin knows is sound.
  if (absl::IsFailedPrecondition(parsed.status())) return parsed.status();
  if (!parsed.ok()) return absl::DataLossError(parsed.status().message());
  record.network = *std::move(parsed);
  if (const bj::object* given = support::objectMember(*document, "result")) record.result = *given;
  return record;
}

}  // namespace berth::cni
