// All plugin instances the configuration names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "plugins/host_table.hpp"
#include "plugins/image_source.hpp"
#include "plugins/instance.hpp"
#include "plugins/isolated_library.hpp"
#include "plugins/network.hpp"
#include "plugins/runtime.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::plugins {

// What the configuration asks for: one instance.
struct Wanted {
  Kind kind = Kind::kRuntime;
  std::string name;    // of the instance
  std::string plugin;  // name or path of the file
  boost::json::object options;
  Origin origin;  // where that stands; empty: named by kind and name
  Isolation isolation;
};

// What could not be loaded.
struct Failure {
  Wanted wanted;
  absl::Status status;
};

// Loads, starts and stops plugins, and finds them by name. After start() it never changes, so
// lookups need no lock; pointers stay valid until stop().
class Registry {
 public:
  // `services` must outlive the registry.
  Registry(std::vector<std::string> directories, const HostServices& services)
      : directories_(std::move(directories)), services_(services) {}
  ~Registry() { stop(); }

  // Loads and configures all, in dependency order (what others use first: sources, snapshotters,
  // networks, runtimes), and collects every problem, a line for each: its place in the
  // configuration, the reason, plugin and file. Makes nothing outside of this process.
  absl::Status load(const std::vector<Wanted>& wanted);
  // Starts in the same order; when one fails those already started are stopped.
  absl::Status start();
  // Stops in reverse order, each after `before` was called with it. Idempotent.
  void stop(const std::function<void(const Instance&)>& before = {});

  // FAILED_PRECONDITION with the names there are.
  absl::StatusOr<Runtime*> runtime(const std::string& name) const;
  absl::StatusOr<Snapshotter*> snapshotter(const std::string& name) const;
  absl::StatusOr<ImageSource*> imageSource(const std::string& name) const;
  absl::StatusOr<Network*> network(const std::string& name) const;
  const std::map<std::string, std::unique_ptr<Runtime>>& runtimes() const { return runtimes_; }
  const std::map<std::string, std::unique_ptr<Snapshotter>>& snapshotters() const {
    return snapshotters_;
  }
  const std::map<std::string, std::unique_ptr<Network>>& networks() const { return networks_; }
  const std::vector<std::unique_ptr<Instance>>& instances() const { return instances_; }
  // Of load(), in its order.
  const std::vector<Failure>& failures() const { return failures_; }

 private:
  absl::Status loadOne(const Wanted& wanted);
  absl::StatusOr<std::shared_ptr<const Library>> openLibrary(const Wanted& wanted);
  absl::Status askOnce();

  const std::vector<std::string> directories_;
  const HostServices& services_;
  std::map<std::string, std::shared_ptr<const Library>> libraries_;  // by path
  std::map<std::string, std::string> names_;                         // of plugins, with their paths
  std::vector<std::unique_ptr<Instance>> instances_;
  std::vector<Failure> failures_;
  std::map<std::string, std::unique_ptr<Runtime>> runtimes_;
  std::map<std::string, std::unique_ptr<Snapshotter>> snapshotters_;
  std::map<std::string, std::unique_ptr<ImageSource>> sources_;
  std::map<std::string, std::unique_ptr<Network>> networks_;
};

}  // namespace berth::plugins
