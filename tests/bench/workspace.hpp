// The run's own folder, and the removal of all that a run can leave on the machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::bench {

// Everything that the bench or an engine started by it makes can be told by the run's tag: folders
// and mounts below directory(), processes with environmentMark() or a command line or cgroup that
// names the tag, bridges registered here, cgroups below cgroupParent().
class Workspace {
 public:
  // Makes WORKDIR/berth-bench-TAG. `cgroupParent` may be empty for one of its own.
  static absl::StatusOr<std::unique_ptr<Workspace>> create(const std::string& workDirectory,
                                                           const std::string& cgroupParent);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  const std::string& tag() const { return tag_; }
  const std::string& directory() const { return directory_; }
  const std::string& cgroupParent() const { return cgroupParent_; }
  // "NAME=VALUE" for the environment of started engines, whose helpers inherit it.
  std::string environmentMark() const;
  // A bridge name that is free; it is deleted by cleanUp().
  std::string bridgeName();
  // Makes the folder, below directory(), with a tmpfs on it: what an engine or a runtime keeps
  // until the next boot is in memory on a node whose /run systemd has made.
  absl::Status makeStateFolder(const std::string& path) const;
  // A file outside the folder that cleanUp() removes when it is still there.
  void removeLater(std::string path) { strayFiles_.push_back(std::move(path)); }

  // Runs every step and reports all failures. Idempotent. Engines must have been stopped.
  absl::Status cleanUp();

 private:
  Workspace() = default;
  absl::Status killLeftProcesses() const;
  absl::Status removeMounts() const;
  absl::Status removeBridges() const;
  absl::Status removeCgroups() const;

  std::string tag_;
  std::string directory_;
  std::string cgroupParent_;
  bool ownCgroups_ = false;
  std::string forwarding_;  // net.ipv4.ip_forward before: the bridge plugin turns it on
  std::vector<std::string> bridges_;
  std::vector<std::string> strayFiles_;
  std::vector<std::string> madeDirectories_;  // that programs make and that were not there before
};

// The program's standard output. An exit code other than 0 is INTERNAL, with its standard error.
absl::StatusOr<std::string> runProgram(std::vector<std::string> argv);

}  // namespace berth::bench
