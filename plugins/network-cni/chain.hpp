// The verbs of the specification over all plugins of a network (CNI spec, section 3).
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "attachment_record.hpp"
#include "berth/plugin.hpp"
#include "invoker.hpp"

namespace berth::cni {

// The configuration one plugin gets for an attachment ("Deriving request configuration").
boost::json::object requestConfig(const AttachmentRecord& record, const PluginConfig& plugin,
                                  const boost::json::object* prevResult);

// The configuration it gets for a verb about the network as a whole.
boost::json::object networkWideConfig(const NetworkConfig& network, const PluginConfig& plugin);

struct ValidAttachment {
  std::string containerId;
  std::string interface;
};

// Runs plugins one after the other; stages of `op` name the plugin and the verb. Any thread.
class Chain {
 public:
  // `lock`: that of the attachment's record, which the plugins inherit; borrowed.
  Chain(const Invoker& invoker, const Op& op, int lock = -1)
      : invoker_(invoker), op_(op), lock_(lock) {}

  // The last plugin's result. Stops at the first failure and takes nothing back.
  absl::StatusOr<boost::json::object> add(const AttachmentRecord& record) const;

  // In reverse order. A plugin that fails does not keep those before it from releasing addresses
  // and interfaces; all failures are reported. A namespace that is gone is passed as empty.
  absl::Status remove(const AttachmentRecord& record, const support::RunLimits& limits) const;

  // Stops at the first failure. OK without asking when the version or the configuration has no
  // CHECK.
  absl::Status check(const AttachmentRecord& record) const;

  // From version 1.1.0 on; OK before. Stops at the first failure, whose code counts.
  absl::Status status(const NetworkConfig& network, const support::RunLimits& limits) const;

  // From version 1.1.0 on and unless the configuration forbids it. Runs every plugin.
  absl::Status gc(const NetworkConfig& network, const std::vector<ValidAttachment>& valid) const;

 private:
  absl::StatusOr<std::string> run(std::string_view command, const AttachmentRecord& record,
                                  const PluginConfig& plugin, std::string_view namespacePath,
                                  const boost::json::object* prevResult,
                                  const support::RunLimits& limits) const;

  const Invoker& invoker_;
  const Op& op_;
  const int lock_;
};

// The path if a namespace is still there, else empty: a path may outlive what was mounted on it.
std::string_view liveNamespace(const std::string& path);

}  // namespace berth::cni
