// Pods made with nothing but the CNI plugins and the OCI runtime: the floor for an engine that runs
// these programs one after the other, `create` and `start` apart.
#pragma once

#include <atomic>
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

// What all of a run's bare pods share: the programs, a network, the bundle's template.
class BarePrograms {
 public:
  // `index` chooses the network's addresses.
  static absl::StatusOr<std::unique_ptr<BarePrograms>> create(const Options& options,
                                                              Workspace& workspace, int index);

 private:
  friend class BarePod;
  BarePrograms(const Options& options, const Workspace& workspace);
  absl::Status makeSpec();

  const Options& options_;
  const Workspace& workspace_;
  std::string directory_;
  std::string state_;  // bundles, and what runc keeps of containers: see makeStateFolder()
  boost::json::object conflist_;
  boost::json::object spec_;
  std::atomic<int> pods_ = 0;
};

// One pod. Different pods may be used by different threads at the same time. No program is cut off
// by an interrupt: what it has made is known once it has ended.
class BarePod {
 public:
  // Makes the bundle and the network namespace: outside what is timed, since they are no program's
  // work. `programs` must outlive the pod.
  static absl::StatusOr<std::unique_ptr<BarePod>> prepare(BarePrograms& programs,
                                                          PodNetwork network);
  ~BarePod();
  BarePod(const BarePod&) = delete;
  BarePod& operator=(const BarePod&) = delete;

  absl::Status addNetwork();
  absl::Status createContainer();
  absl::Status startContainer();
  absl::Status exec(const std::vector<std::string>& argv);
  // SIGKILL, and its end awaited without polling.
  absl::Status kill();
  absl::Status deleteContainer();
  absl::Status deleteNetwork();
  // Undoes whatever stands, with the namespace and the bundle. Idempotent.
  absl::Status reset();

 private:
  BarePod(const BarePrograms& programs, std::string id);
  absl::Status writeBundle(PodNetwork network);
  absl::Status runc(const std::vector<std::string>& arguments);
  absl::StatusOr<boost::json::value> plugin(const boost::json::object& plugin,
                                            const std::string& command,
                                            const boost::json::value& previous);

  const BarePrograms& programs_;
  std::string id_;
  std::string directory_;  // the bundle, and what belongs to it
  std::string namespacePath_;
  boost::json::value result_;  // of the last plugin of the chain
  bool hasNamespace_ = false;
  bool hasNetwork_ = false;
  bool hasContainer_ = false;
};

}  // namespace berth::bench
