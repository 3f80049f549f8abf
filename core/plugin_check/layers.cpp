#include "plugin_check/layers.hpp"

#include <algorithm>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/tar_writer.hpp"
#include "plugin_check/digest.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kPiece = 7777;
constexpr time_t kModified = 1600000000;

}  // namespace

untar::Entry& LayerTar::add(std::string_view name, untar::EntryType type, uint32_t mode) {
  Part part;
  part.entry.name = name;
  part.entry.type = type;
  part.entry.mode = mode;
  part.entry.modified = {.tv_sec = kModified, .tv_nsec = 0};
  parts_.push_back(std::move(part));
  return parts_.back().entry;
}

LayerTar& LayerTar::file(std::string_view name, std::string_view content, uint32_t mode) {
  add(name, untar::EntryType::kRegular, mode).size = content.size();
  parts_.back().content = content;
  return *this;
}

LayerTar& LayerTar::directory(std::string_view name, uint32_t mode) {
  add(name, untar::EntryType::kDirectory, mode);
  return *this;
}

LayerTar& LayerTar::symlink(std::string_view name, std::string_view target) {
  add(name, untar::EntryType::kSymlink, 0777).linkTarget = target;
  return *this;
}

LayerTar& LayerTar::hardLink(std::string_view name, std::string_view target) {
  add(name, untar::EntryType::kHardLink, 0644).linkTarget = target;
  return *this;
}

LayerTar& LayerTar::whiteout(std::string_view folder, std::string_view name) {
  return file(strCat(folder, ".wh.", name), "");
}

LayerTar& LayerTar::opaque(std::string_view folder) {
  return file(strCat(folder, ".wh..wh..opq"), "");
}

LayerTar& LayerTar::owner(uint64_t uid, uint64_t gid) {
  parts_.back().entry.uid = uid;
  parts_.back().entry.gid = gid;
  return *this;
}

absl::StatusOr<std::string> LayerTar::tar() const {
  std::string bytes;
  untar::TarWriter writer([&](std::string_view piece) {
    bytes += piece;
    return absl::OkStatus();
  });
  for (const Part& part : parts_) {
    BERTH_RETURN_IF_ERROR(writer.add(part.entry));
    if (!part.content.empty()) BERTH_RETURN_IF_ERROR(writer.data(part.content));
  }
  BERTH_RETURN_IF_ERROR(writer.finish());
  return bytes;
}

TestLayer makeLayer(const LayerTar& tar, const TestLayer* below) {
  TestLayer made;
  made.tar = tar.tar().value();
  made.layer.diffId = digestOf(made.tar);
  made.layer.chainId = made.layer.diffId;
  if (below != nullptr) {
    made.layer.parentChainId = below->layer.chainId;
    made.layer.chainId = digestOf(strCat(below->layer.chainId, " ", made.layer.diffId));
  }
  return made;
}

TestLayer smallLayer(const std::string& name, const TestLayer* below) {
  return makeLayer(LayerTar().file(name, strCat("content of ", name, "\n")), below);
}

plugins::PieceSource piecesOf(const std::string& bytes) {
  auto position = std::make_shared<size_t>(0);
  return [&bytes, position]() -> absl::StatusOr<std::string_view> {
    const std::string_view piece =
        std::string_view(bytes).substr(std::min(*position, bytes.size()), kPiece);
    *position += piece.size();
    return piece;
  };
}

std::unique_ptr<SnapshotterBed> SnapshotterBed::begin(Probe& probe) {
  auto session = Session::begin(probe);
  if (session == nullptr) return nullptr;
  return std::unique_ptr<SnapshotterBed>(new SnapshotterBed(probe, std::move(session)));
}

plugins::SnapshotSpec specOf(const std::string& key, const std::vector<TestLayer>& layers,
                             bool readOnly) {
  plugins::SnapshotSpec spec;
  spec.key = key;
  for (const TestLayer& layer : layers) spec.layers.push_back(layer.layer);
  spec.readOnly = readOnly;
  return spec;
}

bool SnapshotterBed::apply(const TestLayer& layer) {
  step(strCat("layer_apply of ", layer.layer.chainId));
  return probe_.succeeds(plugin().applyLayer(op_, layer.layer, piecesOf(layer.tar)).status(),
                         "layer_apply");
}

bool SnapshotterBed::prepare(const std::string& key, const std::vector<TestLayer>& layers,
                             bool readOnly) {
  step(strCat("snapshot_prepare of ", key));
  return probe_.succeeds(plugin().prepare(op_, specOf(key, layers, readOnly)), "snapshot_prepare");
}

std::string SnapshotterBed::targetOf(const std::string& key) const {
  return probe_.path(strCat("mounted-", key));
}

std::string SnapshotterBed::mount(const std::string& key) {
  step(strCat("snapshot_mount of ", key));
  std::string target = targetOf(key);
  if (!probe_.succeeds(support::makeDirectories(target), "make the target")) return {};
  if (!probe_.succeeds(plugin().mount(op_, key, target), "snapshot_mount")) return {};
  return target;
}

bool SnapshotterBed::unmount(const std::string& key) {
  step(strCat("snapshot_unmount of ", key));
  return probe_.succeeds(plugin().unmount(op_, key, targetOf(key)), "snapshot_unmount");
}

bool SnapshotterBed::remove(const std::string& key) {
  step(strCat("snapshot_remove of ", key));
  return probe_.succeeds(plugin().remove(op_, key), "snapshot_remove");
}

bool SnapshotterBed::removeLayer(const TestLayer& layer) {
  step(strCat("layer_remove of ", layer.layer.chainId));
  return probe_.succeeds(plugin().removeLayer(op_, layer.layer), "layer_remove");
}

std::string SnapshotterBed::mountLayers(const std::string& key,
                                        const std::vector<TestLayer>& layers) {
  for (const TestLayer& layer : layers) {
    if (!apply(layer)) return {};
  }
  return prepare(key, layers) ? mount(key) : std::string();
}

void SnapshotterBed::removeAll(const std::string& key, const std::vector<TestLayer>& layers) {
  unmount(key);
  remove(key);
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) removeLayer(*layer);
}

bool SnapshotterBed::lists(const TestLayer& layer) {
  step("layer_list");
  const auto names = plugin().listLayers(op_);
  if (!probe_.succeeds(names.status(), "layer_list")) return false;
  const std::string& name = plugin().independentLayers() ? layer.layer.diffId : layer.layer.chainId;
  return std::find(names->begin(), names->end(), name) != names->end();
}

bool SnapshotterBed::listsSnapshot(const std::string& key) {
  step("snapshot_list");
  const auto names = plugin().list(op_);
  if (!probe_.succeeds(names.status(), "snapshot_list")) return false;
  return std::find(names->begin(), names->end(), key) != names->end();
}

void expectContent(Probe& probe, const std::string& path, std::string_view content) {
  const auto found = support::readFile(path);
  if (!probe.succeeds(found.status(), strCat("read ", path, " in the mounted snapshot"))) return;
  probe.expect(*found == content,
               strCat(path, " has the content \"", *found, "\", not \"", content, "\""));
}

void expectAbsent(Probe& probe, const std::string& path) {
  struct stat info {};
  probe.expect(::lstat(path.c_str(), &info) != 0, strCat(path, " is there and must not be"));
}

}  // namespace berth::check
