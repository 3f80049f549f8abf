// The same pod made with nothing but the CNI plugins and runc: the floor for an engine that runs
// these programs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri_client.hpp"
#include "options.hpp"
#include "workspace.hpp"

namespace berth::bench {

// One pod at a time. The network namespace is made by prepare(), outside what is timed: it is no
// program's work.
class BareCommands {
 public:
  // Writes the bundle and the network configuration; `index` chooses the network's addresses.
  static absl::StatusOr<std::unique_ptr<BareCommands>> create(const Options& options,
                                                              Workspace& workspace, int index);
  ~BareCommands();
  BareCommands(const BareCommands&) = delete;
  BareCommands& operator=(const BareCommands&) = delete;

  absl::Status prepare(PodNetwork network);
  absl::Status addNetwork();
  absl::Status createContainer();
  absl::Status startContainer();
  absl::Status exec(const std::vector<std::string>& argv);
  // SIGKILL, and its end awaited without polling.
  absl::Status kill();
  absl::Status deleteContainer();
  absl::Status deleteNetwork();
  // Undoes whatever stands. Idempotent.
  absl::Status reset();

 private:
  BareCommands(const Options& options, Workspace& workspace);
  absl::Status writeBundle();
  absl::Status runc(std::vector<std::string> arguments);
  absl::StatusOr<boost::json::value> plugin(const boost::json::object& plugin,
                                            const std::string& command,
                                            const boost::json::value& previous);

  const Options& options_;
  Workspace& workspace_;
  std::string directory_;
  boost::json::object conflist_;
  boost::json::object spec_;
  boost::json::value result_;  // of the last plugin of the chain
  std::string id_;
  int pods_ = 0;
  bool hasNamespace_ = false;
  bool hasNetwork_ = false;
  bool hasContainer_ = false;
};

}  // namespace berth::bench
