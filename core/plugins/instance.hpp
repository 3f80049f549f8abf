// An instance of a plugin: one for each table of the configuration.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "plugins/call_gate.hpp"
#include "plugins/findings.hpp"
#include "plugins/host_table.hpp"
#include "plugins/library.hpp"
#include "plugins/operation.hpp"
#include "plugins/origin.hpp"

namespace berth::plugins {

enum class InstanceState { kLoaded, kConfigured, kStarted, kStopped, kFailed };
std::string_view instanceStateName(InstanceState state);

// Leads an instance through the ABI's life cycle. Not thread-safe but for call().
class Instance {
 public:
  // Creates and configures the instance, and makes nothing outside of this process. Errors name the
  // place of its configuration, the plugin and its file.
  static absl::StatusOr<std::unique_ptr<Instance>> create(std::shared_ptr<const Library> library,
                                                          Kind kind, std::string name,
                                                          const boost::json::object& options,
                                                          Origin origin,
                                                          const HostServices& services);
  ~Instance();  // stops and destroys
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // Makes the instance's directories, and starts it.
  absl::Status start();
  void stop();
  // In place of start(): adds what that would refuse, and what this host lacks; nothing when the
  // plugin does not say. What was found before a failure counts. Blocks, for the operation's time.
  absl::Status examine(const Operation& op, std::vector<Finding>& findings) const;

  // What failed, with where it was configured and who failed. OK stays OK.
  absl::Status located(std::string_view doing, const absl::Status& status) const;

  const std::string& name() const { return host_.instance(); }
  // For people: "network cni (plugin network-cni)".
  std::string title() const;
  Kind kind() const { return kind_; }
  const Library& library() const { return *library_; }
  InstanceState state() const { return state_; }
  // What the options resolved to.
  const boost::json::object& options() const { return options_; }

  void* handle() const { return handle_; }
  // The process that its calls go to; none when that is this one.
  std::optional<Library::ProcessState> process() const {
    return handle_ != nullptr ? library_->process(handle_) : std::nullopt;
  }
  // The extension's function table, copied up to `size` bytes into `table`; false: not offered.
  bool extension(std::string_view id, uint32_t revision, void* table, size_t size) const;

  // As call(), beside whatever else is running: for calls that wait for what another call brings
  // about, which the ABI exempts from the declared threading.
  absl::Status callBeside(const std::function<berth_code(berth_error*)>& body) const;

  // Makes one call into the plugin, through the gate; `body` gets a berth_error and returns the
  // code. The message names the plugin instance; codes out of range become INTERNAL.
  absl::Status call(std::string_view object,
                    const std::function<berth_code(berth_error*)>& body) const;
  // The same on behalf of an operation, whose end ends the wait for other calls as well.
  absl::Status call(const Operation& op, std::string_view object,
                    const std::function<berth_code(berth_error*)>& body) const;

  // Since when a call on behalf of an operation has not come back although that is over: the plugin
  // has not kept its word. None: none such is under way.
  std::optional<std::chrono::steady_clock::time_point> overdueSince() const;

  // Logs what failed of a call that has no other way to tell; nothing where it did not.
  void complain(std::string_view doing, const absl::Status& status) const;

 private:
  Instance(std::shared_ptr<const Library> library, Kind kind, std::string name, Origin origin,
           const HostServices& services);
  absl::Status callUnheard(const std::function<berth_code(berth_error*)>& body) const;
  // For calls that the library makes by itself.
  isolation::Turns turns();

  std::shared_ptr<const Library> library_;
  const Kind kind_;
  const Origin origin_;
  const HostServices& services_;
  HostTable host_;
  mutable CallGate gate_;
  mutable std::mutex callsMutex_;
  mutable std::multiset<const Operation*> calls_;  // under way, on behalf of these
  boost::json::object options_;
  void* handle_ = nullptr;
  InstanceState state_ = InstanceState::kLoaded;
};

}  // namespace berth::plugins
