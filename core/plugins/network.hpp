// A network plugin as the core calls it. Contracts: sdk/include/berth/network.h.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/network.h"
#include "plugins/instance.hpp"
#include "plugins/operation.hpp"

namespace berth::plugins {

struct PortMapping {
  berth_protocol protocol = BERTH_PROTOCOL_TCP;
  int32_t containerPort = 0;
  int32_t hostPort = 0;
  std::string hostIp;
};

// berth_network_request, owned. Rates in bits per second, bursts in bits; 0: not limited.
struct NetworkRequest {
  std::string pod, name, podNamespace, uid, namespacePath, cgroupPath;
  std::map<std::string, std::string> annotations;
  std::vector<PortMapping> portMappings;
  uint64_t ingressRate = 0, ingressBurst = 0, egressRate = 0, egressBurst = 0;
  std::vector<std::string> dnsServers, dnsSearches, dnsOptions;
};

struct NetworkResult {
  std::vector<std::string> addresses;  // the first is the main one
  std::string result;                  // JSON
  std::string state;                   // opaque
};

struct Attachment {
  std::string pod;
  std::string state;
};

// All functions block, and may be called from any thread.
class Network {
 public:
  explicit Network(Instance& instance);

  const std::string& name() const { return instance_.name(); }
  const Instance& instance() const { return instance_; }
  absl::StatusOr<NetworkResult> attach(const Operation& op, const NetworkRequest& request);
  absl::Status detach(const Operation& op, const NetworkRequest& request, std::string_view state);
  absl::Status check(const Operation& op, const NetworkRequest& request, std::string_view state);
  absl::Status status(const Operation& op);
  absl::Status collectGarbage(const Operation& op, const std::vector<Attachment>& wanted);
  absl::Status setPodCidr(const Operation& op, const std::string& cidr);
  // The last that was taken; empty: none.
  std::string podCidr() const;

 private:
  Instance& instance_;
  berth_network table_{};
  mutable std::mutex mutex_;
  std::string podCidr_;
};

}  // namespace berth::plugins
