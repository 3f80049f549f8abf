// Executes CNI plugins (CNI spec, section 2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "berth/support/process.hpp"
#include "version.hpp"

namespace berth::cni {

// The parameters that reach a plugin through its environment (empty ones are passed empty), and
// what else it gets.
struct Parameters {
  std::string_view command;  // "ADD"
  std::string_view containerId;
  std::string_view namespacePath;
  std::string_view interface;
  std::string_view args;
  int lock = -1;  // inherited, also by what the plugin starts; -1: none
};

// Any thread. A plugin runs in a session of its own, so that it is killed with all it has started.
class Invoker {
 public:
  explicit Invoker(std::vector<std::string> binDirs);

  // The binary of a type: the first that may be executed. FAILED_PRECONDITION when there is none.
  absl::StatusOr<std::string> find(const std::string& type) const;

  // What the plugin printed. Errors as pluginError() says; DEADLINE_EXCEEDED and CANCELLED once it
  // has been killed; one that has not died of that half a second later is left to itself.
  absl::StatusOr<std::string> run(const std::string& type, const Parameters& parameters,
                                  const boost::json::object& config,
                                  const support::RunLimits& limits) const;

  // What the plugin's VERSION verb says it speaks.
  absl::StatusOr<std::vector<Version>> supportedVersions(const std::string& type,
                                                         const support::RunLimits& limits) const;

  const std::vector<std::string>& binDirs() const { return binDirs_; }

 private:
  std::vector<std::string> environment(const Parameters& parameters) const;

  std::vector<std::string> binDirs_;
  std::string path_;                    // CNI_PATH
  std::vector<std::string> inherited_;  // of our own environment
};

}  // namespace berth::cni
