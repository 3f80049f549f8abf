// Layers of images for the checks of snapshotters, and a started snapshotter with what they need.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "berth/untar/tar_reader.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/session.hpp"

namespace berth::check {

// Describes the tar of a layer entry by entry.
class LayerTar {
 public:
  LayerTar& file(std::string_view name, std::string_view content, uint32_t mode = 0644);
  LayerTar& directory(std::string_view name, uint32_t mode = 0755);
  LayerTar& symlink(std::string_view name, std::string_view target);
  LayerTar& hardLink(std::string_view name, std::string_view target);
  // Hides what the layers below have of that name (image spec, "Whiteouts").
  LayerTar& whiteout(std::string_view folder, std::string_view name);
  LayerTar& opaque(std::string_view folder);
  // Of the last entry.
  LayerTar& owner(uint64_t uid, uint64_t gid);

  // INTERNAL when it cannot be written.
  absl::StatusOr<std::string> tar() const;

 private:
  untar::Entry& add(std::string_view name, untar::EntryType type, uint32_t mode);

  struct Part {
    untar::Entry entry;
    std::string content;
  };
  std::vector<Part> parts_;
};

struct TestLayer {
  plugins::Layer layer;
  std::string tar;
};
// `below`: null for the lowest.
TestLayer makeLayer(const LayerTar& tar, const TestLayer* below = nullptr);
// What makes a layer unlike any other: a file with that name and content.
TestLayer smallLayer(const std::string& name, const TestLayer* below = nullptr);

// Gives the bytes in pieces of a size that fits no block.
plugins::PieceSource piecesOf(const std::string& bytes);

// A started snapshotter.
class SnapshotterBed {
 public:
  // Null when the check is skipped.
  static std::unique_ptr<SnapshotterBed> begin(Probe& probe);

  Probe& probe() { return probe_; }
  Session& session() { return *session_; }
  plugins::Snapshotter& plugin() { return session_->snapshotter(); }
  const plugins::Operation& op() const { return op_; }

  // Of all these tell the probe when they fail, and return whether they succeed.
  bool apply(const TestLayer& layer);
  bool prepare(const std::string& key, const std::vector<TestLayer>& layers, bool readOnly = false);
  bool unmount(const std::string& key);
  bool remove(const std::string& key);
  bool removeLayer(const TestLayer& layer);
  // Mounts it at a folder named after it; empty when that fails.
  std::string mount(const std::string& key);
  // Applies, prepares and mounts.
  std::string mountLayers(const std::string& key, const std::vector<TestLayer>& layers);
  // Unmounts and removes the snapshot, and the layers from the highest on.
  void removeAll(const std::string& key, const std::vector<TestLayer>& layers);
  std::string targetOf(const std::string& key) const;
  bool lists(const TestLayer& layer);
  bool listsSnapshot(const std::string& key);
  // The step is the one that is named when the process ends in a call.
  void step(std::string_view doing) { probe_.step(doing); }

 private:
  SnapshotterBed(Probe& probe, std::unique_ptr<Session> session)
      : probe_(probe), session_(std::move(session)), op_("check", soon(std::chrono::seconds(50))) {}

  Probe& probe_;
  std::unique_ptr<Session> session_;
  plugins::Operation op_;
};

plugins::SnapshotSpec specOf(const std::string& key, const std::vector<TestLayer>& layers,
                             bool readOnly = false);

// Fails unless the file has that content; and unless there is nothing of that name.
void expectContent(Probe& probe, const std::string& path, std::string_view content);
void expectAbsent(Probe& probe, const std::string& path);

}  // namespace berth::check
