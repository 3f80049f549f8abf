// Everything that must be known of one pod's attachment to undo it later, whatever has become of
// the configuration by then.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "berth/network.hpp"
#include "config.hpp"

namespace berth::cni {

struct AttachmentRecord {
  std::string pod;
  std::string interface;
  std::string namespacePath;
  std::string args;                  // CNI_ARGS
  boost::json::object capabilities;  // by capability, before a plugin's own choice
  NetworkConfig network;
  std::optional<boost::json::object> result;  // none until ADD has succeeded

  // One line of JSON; decode() reads it back. DATA_LOSS for what is no record, FAILED_PRECONDITION
  // for one that only a newer version can read.
  std::string encode() const;
  static absl::StatusOr<AttachmentRecord> decode(std::string_view text, const std::string& what);
};

// INVALID_ARGUMENT when a value of the request cannot be handed to CNI plugins.
absl::Status checkRequest(const NetworkRequest& request);

// CNI_ARGS as the kubelet's plugins know them: "IgnoreUnknown=1;K8S_POD_NAMESPACE=…".
std::string cniArguments(const NetworkRequest& request);

// The capability arguments that the request gives a value for (CNI conventions, "Well-known
// Capabilities").
boost::json::object capabilityArguments(const NetworkRequest& request);

AttachmentRecord newRecord(const NetworkRequest& request, const std::string& interface,
                           const NetworkConfig& network);

}  // namespace berth::cni
