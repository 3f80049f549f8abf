// C++ wrapper of berth/network.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/network.h"
#include "berth/plugin.hpp"

namespace berth {

// berth_network_request with its arrays laid out for this side.
struct NetworkRequest {
  std::string_view pod;
  std::string_view name;
  std::string_view podNamespace;
  std::string_view uid;
  std::string_view namespacePath;
  std::string_view cgroupPath;
  std::vector<std::pair<std::string_view, std::string_view>> annotations;
  std::vector<berth_port_mapping> portMappings;
  uint64_t ingressRate = 0, ingressBurst = 0;
  uint64_t egressRate = 0, egressBurst = 0;
  std::vector<std::string_view> dnsServers;
  std::vector<std::string_view> dnsSearches;
  std::vector<std::string_view> dnsOptions;
  std::vector<std::string_view> ips;
  std::string_view mac;
};

struct NetworkResult {
  std::vector<std::string> addresses;
  std::string result;  // JSON
  std::string state;
};

struct Attachment {
  std::string_view pod;
  std::string_view state;
};

// Contracts of the functions: berth/network.h, same names.
class Network : public Plugin {
 public:
  using Kind = Network;
  static constexpr std::string_view kInterface = BERTH_NETWORK_INTERFACE;
  using Plugin::Plugin;

  virtual Status attach(const Op& op, const NetworkRequest& request, NetworkResult& out) = 0;
  virtual Status detach(const Op& op, const NetworkRequest& request, std::string_view state) = 0;
  virtual Status check(const Op& op, const NetworkRequest& request, std::string_view state) = 0;
  virtual Status status(const Op& op) = 0;
  virtual Status gc(const Op& op, const std::vector<Attachment>& wanted) = 0;
  virtual Status setPodCidr(const Op& op, std::string_view cidr) = 0;

  static const berth_network* functions();
};

namespace detail {

inline std::vector<std::string_view> views(const berth_str* items, size_t count) {
  std::vector<std::string_view> result;
  for (size_t i = 0; i < count; ++i) result.push_back(view(items[i]));
  return result;
}

inline NetworkRequest networkRequest(const berth_network_request* given) {
  const berth_network_request r = known(given);
  NetworkRequest result;
  result.pod = view(r.pod);
  result.name = view(r.name);
  result.podNamespace = view(r.pod_namespace);
  result.uid = view(r.uid);
  result.namespacePath = view(r.namespace_path);
  result.cgroupPath = view(r.cgroup_path);
  for (size_t i = 0; i < r.annotation_count; ++i) {
    result.annotations.emplace_back(view(r.annotations[i].key), view(r.annotations[i].value));
  }
  result.portMappings.assign(r.port_mappings, r.port_mappings + r.port_mapping_count);
  result.ingressRate = r.ingress_rate;
  result.ingressBurst = r.ingress_burst;
  result.egressRate = r.egress_rate;
  result.egressBurst = r.egress_burst;
  result.dnsServers = views(r.dns_servers, r.dns_server_count);
  result.dnsSearches = views(r.dns_searches, r.dns_search_count);
  result.dnsOptions = views(r.dns_options, r.dns_option_count);
  result.ips = views(r.ips, r.ip_count);
  result.mac = view(r.mac);
  return result;
}

struct NetworkCalls {
  static Network& self(void* instance) { return *static_cast<Network*>(instance); }

  static berth_code attach(void* instance, const berth_op* op, const berth_network_request* request,
                           berth_network_builder* out, berth_error* error) {
    return guard(error, [&]() -> Status {
      NetworkResult result;
      Status status = self(instance).attach(Op(op), networkRequest(request), result);
      if (!status.ok()) return status;
      for (const auto& address : result.addresses) out->add_address(out, str(address));
      out->set_result(out, str(result.result));
      out->set_state(out, bytes(result.state));
      return {};
    });
  }
  static berth_code detach(void* instance, const berth_op* op, const berth_network_request* request,
                           berth_bytes state, berth_error* error) {
    return guard(
        error, [&] { return self(instance).detach(Op(op), networkRequest(request), view(state)); });
  }
  static berth_code check(void* instance, const berth_op* op, const berth_network_request* request,
                          berth_bytes state, berth_error* error) {
    return guard(
        error, [&] { return self(instance).check(Op(op), networkRequest(request), view(state)); });
  }
  static berth_code status(void* instance, const berth_op* op, berth_error* error) {
    return guard(error, [&] { return self(instance).status(Op(op)); });
  }
  static berth_code gc(void* instance, const berth_op* op, const berth_attachment* attachments,
                       size_t count, berth_error* error) {
    return guard(error, [&] {
      std::vector<Attachment> wanted;
      for (size_t i = 0; i < count; ++i) {
        const auto one = known(static_cast<const berth_attachment*>(berth_at(attachments, i)));
        wanted.push_back({view(one.pod), view(one.state)});
      }
      return self(instance).gc(Op(op), wanted);
    });
  }
  static berth_code setPodCidr(void* instance, const berth_op* op, berth_str cidr,
                               berth_error* error) {
    return guard(error, [&] { return self(instance).setPodCidr(Op(op), view(cidr)); });
  }
};

}  // namespace detail

inline const berth_network* Network::functions() {
  using Calls = detail::NetworkCalls;
  static const berth_network table = {
      .size = sizeof(berth_network),
      .attach = &Calls::attach,
      .detach = &Calls::detach,
      .check = &Calls::check,
      .status = &Calls::status,
      .gc = &Calls::gc,
      .set_pod_cidr = &Calls::setPodCidr,
  };
  return &table;
}

}  // namespace berth
