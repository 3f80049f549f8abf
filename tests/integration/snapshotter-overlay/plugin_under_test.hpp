// The plugin as a host sees it: loaded from its shared object, driven through the C ABI.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/extensions.h"
#include "berth/plugin.hpp"
#include "berth/snapshotter.h"

namespace berth::test {

// A fresh directory on a disk, removed at the end with all that is mounted below it.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Usage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  bool operator==(const Usage&) const = default;
};

// Gives the next piece; empty is the end; a code other than OK fails the stream.
using Pieces = std::function<berth_code(std::string_view& piece)>;
Pieces wholeArchive(std::string archive);

struct SnapshotRequest {
  std::string key;
  std::vector<std::string> layers;  // lowest first
  bool readOnly = false;
  std::vector<berth_id_mapping> mappings;  // for users and groups
};

class PluginUnderTest {
 public:
  // Creates, configures and starts; see `started` for the result.
  explicit PluginUnderTest(const std::string& root, const std::string& furtherOptions = "");
  ~PluginUnderTest() { shutDown(); }
  // As at an orderly end of the host.
  void shutDown();

  Status started;

  uint32_t flags() { return functions_->flags(instance_); }
  Status apply(const std::string& diffId, const Pieces& pieces, Usage* usage = nullptr);
  Status apply(const std::string& diffId, const std::string& archive, Usage* usage = nullptr);
  Status layerUsage(const std::string& diffId, Usage& usage);
  Status removeLayer(const std::string& diffId);
  std::vector<std::string> layers();
  Status prepare(const SnapshotRequest& request);
  Status mount(const std::string& key, const std::string& target);
  Status unmount(const std::string& key, const std::string& target);
  Status snapshotUsage(const std::string& key, Usage& usage);
  Status removeSnapshot(const std::string& key);
  std::vector<std::string> snapshots();
  std::string filesystem(Usage& usage);

  // The extension berth.snapshotter.verify. Findings as "KIND PATH DETAIL", kinds being "damaged"
  // and "limited".
  Status verifyLayer(const std::string& diffId, std::vector<std::string>& found,
                     uint32_t flags = 0);
  Status verifySnapshot(const std::string& key, std::vector<std::string>& found);
  Status dropLayer(const std::string& diffId);
  std::vector<std::string> setAside();

  // Makes calls that run see their cancellation.
  std::atomic<bool> cancelled = false;
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  berth_op op();

  const berth_plugin* plugin_ = nullptr;
  const berth_snapshotter* functions_ = nullptr;
  const berth_snapshotter_verify* verify_ = nullptr;
  void* instance_ = nullptr;
  berth_host host_ = {};
  std::vector<std::string> warnings_;
};

// "sha256:" and 64 digits made from the number.
std::string diffIdOf(uint64_t number);

}  // namespace berth::test
