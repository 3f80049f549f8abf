#include "plugins/network.hpp"

#include <utility>

#include <absl/strings/escaping.h>

#include "berth/support/address.hpp"
#include "berth/support/status.hpp"
#include "plugins/sinks.hpp"

namespace berth::plugins {

namespace {

// berth_network_request and what it points to.
struct AbiRequest {
  explicit AbiRequest(const NetworkRequest& r)
      : annotations(pairs(r.annotations)),
        servers(strings(r.dnsServers)),
        searches(strings(r.dnsSearches)),
        options(strings(r.dnsOptions)) {
    for (const PortMapping& port : r.portMappings) {
      ports.push_back({port.protocol, port.containerPort, port.hostPort, 0, str(port.hostIp)});
    }
    abi.size = sizeof abi;
    abi.pod = str(r.pod);
    abi.name = str(r.name);
    abi.pod_namespace = str(r.podNamespace);
    abi.uid = str(r.uid);
    abi.namespace_path = str(r.namespacePath);
    abi.cgroup_path = str(r.cgroupPath);
    abi.annotations = annotations.data();
    abi.annotation_count = annotations.size();
    abi.port_mappings = ports.data();
    abi.port_mapping_count = ports.size();
    abi.ingress_rate = r.ingressRate;
    abi.ingress_burst = r.ingressBurst;
    abi.egress_rate = r.egressRate;
    abi.egress_burst = r.egressBurst;
    abi.dns_servers = servers.data();
    abi.dns_server_count = servers.size();
    abi.dns_searches = searches.data();
    abi.dns_search_count = searches.size();
    abi.dns_options = options.data();
    abi.dns_option_count = options.size();
  }
  AbiRequest(const AbiRequest&) = delete;
  AbiRequest& operator=(const AbiRequest&) = delete;

  std::vector<berth_pair> annotations;
  std::vector<berth_str> servers, searches, options;
  std::vector<berth_port_mapping> ports;
  berth_network_request abi{};
};

class ResultBuilder {
 public:
  berth_network_builder* get() { return &builder_; }
  NetworkResult& result() { return result_; }
  const Taking& taking() const { return taking_; }

 private:
  static ResultBuilder& self(berth_network_builder* builder) {
    return *static_cast<ResultBuilder*>(builder->host);
  }
  static void addAddress(berth_network_builder* builder, berth_str address) {
    self(builder).taking_.take([&]() -> Status {
      std::string text = takenText(address);
      if (text.empty()) return {};
      // It becomes a line of the pod's /etc/hosts.
      if (!support::isAddress(text)) {
        return Status(BERTH_INVALID_ARGUMENT,
                      support::strCat("\"", absl::CEscape(text), "\" as an address"));
      }
      self(builder).result_.addresses.push_back(std::move(text));
      return {};
    });
  }
  static void setResult(berth_network_builder* builder, berth_str json) {
    self(builder).taking_.take([&]() -> Status {
      self(builder).result_.result = takenText(json);
      return {};
    });
  }
  static void setState(berth_network_builder* builder, berth_bytes state) {
    self(builder).taking_.take([&]() -> Status {
      self(builder).result_.state = takenBytes(view(state));
      return {};
    });
  }

  Taking taking_;
  NetworkResult result_;
  berth_network_builder builder_{sizeof(berth_network_builder), this, &addAddress, &setResult,
                                 &setState};
};

}  // namespace

Network::Network(Instance& instance) : instance_(instance) {
  copyTable(Kind::kNetwork, instance.library().description().functions, &table_, sizeof table_)
      .IgnoreError();
}

absl::StatusOr<NetworkResult> Network::attach(const Operation& op, const NetworkRequest& request) {
  AbiRequest abi(request);
  ResultBuilder builder;
  const absl::Status called = instance_.call(op, request.pod, [&](berth_error* error) {
    return table_.attach(instance_.handle(), op.op(), &abi.abi, builder.get(), error);
  });
  BERTH_RETURN_IF_ERROR(builder.taking().judge(name(), called));
  return std::move(builder.result());
}

absl::Status Network::detach(const Operation& op, const NetworkRequest& request,
                             std::string_view state) {
  AbiRequest abi(request);
  return instance_.call(op, request.pod, [&](berth_error* error) {
    return table_.detach(instance_.handle(), op.op(), &abi.abi, bytes(state), error);
  });
}

absl::Status Network::check(const Operation& op, const NetworkRequest& request,
                            std::string_view state) {
  AbiRequest abi(request);
  return instance_.call(op, request.pod, [&](berth_error* error) {
    return table_.check(instance_.handle(), op.op(), &abi.abi, bytes(state), error);
  });
}

absl::Status Network::status(const Operation& op) {
  return instance_.call(op, {}, [&](berth_error* error) {
    return table_.status(instance_.handle(), op.op(), error);
  });
}

absl::Status Network::collectGarbage(const Operation& op, const std::vector<Attachment>& wanted) {
  std::vector<berth_attachment> attachments;
  attachments.reserve(wanted.size());
  for (const Attachment& one : wanted) {
    attachments.push_back({sizeof(berth_attachment), str(one.pod), bytes(one.state)});
  }
  return instance_.call(op, {}, [&](berth_error* error) {
    return table_.gc(instance_.handle(), op.op(), attachments.data(), attachments.size(), error);
  });
}

absl::Status Network::setPodCidr(const Operation& op, const std::string& cidr) {
  BERTH_RETURN_IF_ERROR(instance_.call(op, {}, [&](berth_error* error) {
    return table_.set_pod_cidr(instance_.handle(), op.op(), str(cidr), error);
  }));
  const std::lock_guard lock(mutex_);
  podCidr_ = cidr;
  return absl::OkStatus();
}

std::string Network::podCidr() const {
  const std::lock_guard lock(mutex_);
  return podCidr_;
}

}  // namespace berth::plugins
