// The file systems that containers' writable layers are on.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "engine/metrics/subject.hpp"
#include "plugins/registry.hpp"

namespace berth::engine {

// Thread-safe. `registry` must outlive it.
class Filesystems {
 public:
  explicit Filesystems(const plugins::Registry& registry) : registry_(registry) {}

  // The directory of a snapshotter's layers (CRI, FilesystemIdentifier.mountpoint); empty when the
  // snapshotter does not tell.
  std::string directory(const plugins::Operation& op, const std::string& snapshotter);
  // The file system of that directory, as it is now; the layer's own part stays unset. Nothing when
  // it cannot be looked at.
  std::optional<metrics::Filesystem> look(const plugins::Operation& op,
                                          const std::string& snapshotter);

 private:
  // Neither changes while the daemon runs.
  struct Place {
    std::string directory;
    std::string device;
  };
  Place place(const plugins::Operation& op, const std::string& snapshotter);

  const plugins::Registry& registry_;
  std::mutex mutex_;
  std::map<std::string, Place> places_;  // by snapshotter
};

// What is mounted where `path` lies: "/dev/sda1", or whatever the file system goes by; empty when
// `path` does not exist.
std::string deviceOf(const std::string& path);

}  // namespace berth::engine
