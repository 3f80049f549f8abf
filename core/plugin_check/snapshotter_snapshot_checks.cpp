// Checks of snapshots: prepared, mounted, written, counted, removed.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/digest.hpp"
#include "plugin_check/layers.hpp"

namespace berth::check {

using support::strCat;

namespace {

constexpr size_t kAtOnce = 8;
constexpr size_t kWritten = 1u << 20;  // bytes

absl::Status write(const std::string& path, std::string_view content) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd file,
                         support::openFile(path, O_WRONLY | O_CREAT | O_TRUNC));
  return support::writeAll(file.get(), content);
}

void checkKeys(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer one = smallLayer("one");
  const TestLayer other = smallLayer("other");
  bed->step("snapshot_prepare above a layer that is not there");
  probe.fails(bed->plugin().prepare(bed->op(), specOf("early", {one})),
              "snapshot_prepare above a layer that is not there");
  probe.expect(!bed->listsSnapshot("early"), "a snapshot that could not be prepared is listed");
  if (!bed->apply(one) || !bed->apply(other)) return;
  if (!bed->prepare("key", {one})) return;
  probe.expect(bed->listsSnapshot("key"), "snapshot_list has not what was prepared");
  bed->prepare("key", {one});
  bed->step("snapshot_prepare of a used key with other layers");
  probe.fails(bed->plugin().prepare(bed->op(), specOf("key", {other})),
              "snapshot_prepare of a used key with other layers",
              {absl::StatusCode::kAlreadyExists});
  if (bed->prepare("empty", {})) {
    const std::string root = bed->mount("empty");
    if (!root.empty()) {
      probe.succeeds(write(strCat(root, "/file"), "x"), "write into a snapshot without layers");
      bed->unmount("empty");
    }
    bed->remove("empty");
  }
  bed->remove("key");
  probe.expect(!bed->listsSnapshot("key"), "snapshot_list still has what was removed");
  bed->remove("key");
  if (bed->prepare("key", {other})) bed->remove("key");
  bed->removeLayer(one);
  bed->removeLayer(other);
}

void checkMounts(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer = makeLayer(LayerTar().file("file", "layer").file("removed", "layer"));
  const std::string root = bed->mountLayers("first", {layer});
  if (root.empty()) return;
  bed->mount("first");
  const auto mounted = support::isMountPoint(root);
  probe.expect(mounted.ok() && *mounted, "snapshot_mount mounts nothing at the target");
  probe.succeeds(write(strCat(root, "/file"), "changed"), "write to a file of the layer");
  probe.succeeds(write(strCat(root, "/made"), "made"), "make a file");
  probe.succeeds(support::removePath(strCat(root, "/removed")), "remove a file of the layer");
  bed->unmount("first");
  const auto still = support::isMountPoint(root);
  probe.expect(still.ok() && !*still,
               "the target is still mounted after mounting twice and unmounting once");
  bed->unmount("first");
  if (bed->mount("first").empty()) return;
  expectContent(probe, strCat(root, "/file"), "changed");
  expectContent(probe, strCat(root, "/made"), "made");
  expectAbsent(probe, strCat(root, "/removed"));
  if (!bed->prepare("second", {layer})) return;
  const std::string second = bed->mount("second");
  if (!second.empty()) {
    expectContent(probe, strCat(second, "/file"), "layer");
    expectContent(probe, strCat(second, "/removed"), "layer");
    expectAbsent(probe, strCat(second, "/made"));
  }
  bed->unmount("second");
  bed->remove("second");
  bed->removeAll("first", {layer});
}

void checkReadOnly(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer lower = makeLayer(LayerTar().file("lower", "lower"));
  const TestLayer upper = makeLayer(LayerTar().file("upper", "upper"), &lower);
  for (const auto& layers : {std::vector{lower}, std::vector{lower, upper}}) {
    for (const TestLayer& layer : layers) {
      if (!bed->apply(layer)) return;
    }
    if (!bed->prepare("view", layers, true)) return;
    const std::string root = bed->mount("view");
    if (!root.empty()) {
      expectContent(probe, strCat(root, "/lower"), "lower");
      probe.fails(write(strCat(root, "/made"), "x"), "write into a read-only snapshot");
      probe.fails(write(strCat(root, "/lower"), "x"), "change a file of a read-only snapshot");
    }
    bed->unmount("view");
    bed->remove("view");
  }
  bed->removeLayer(upper);
  bed->removeLayer(lower);
}

void checkUsage(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer = makeLayer(LayerTar().file("file", std::string(kWritten, 'x')));
  const std::string root = bed->mountLayers("used", {layer});
  if (root.empty()) return;
  bed->step("snapshot_usage");
  const auto before = bed->plugin().usage(bed->op(), "used");
  if (!probe.succeeds(before.status(), "snapshot_usage")) return;
  probe.expect(before->bytes < kWritten / 2,
               "snapshot_usage counts the layers below with the writable one");
  probe.succeeds(write(strCat(root, "/written"), std::string(kWritten, 'w')), "write a file");
  // Blocks are only given to it once it is written back.
  if (const auto file = support::openFile(strCat(root, "/written"), O_RDONLY); file.ok())
    ::fsync(file->get());
  const auto after = bed->plugin().usage(bed->op(), "used");
  if (!probe.succeeds(after.status(), "snapshot_usage")) return;
  probe.expect(
      after->bytes >= before->bytes + kWritten && after->inodes > before->inodes,
      strCat("after a file of 1 MiB snapshot_usage has gone from ", before->bytes, " bytes and ",
             before->inodes, " inodes to ", after->bytes, " and ", after->inodes));
  bed->step("filesystem");
  const auto filesystem = bed->plugin().filesystem(bed->op());
  if (probe.succeeds(filesystem.status(), "filesystem")) {
    struct statfs info {};
    probe.expect(::statfs(filesystem->path.c_str(), &info) == 0,
                 strCat("filesystem names ", filesystem->path, ", which is not there"));
    probe.expect(filesystem->usage.bytes >= 2 * kWritten,
                 strCat("filesystem counts ", filesystem->usage.bytes,
                        " bytes for a layer and a snapshot with 1 MiB each"));
  }
  bed->removeAll("used", {layer});
  bed->step("snapshot_usage of what is gone");
  probe.fails(bed->plugin().usage(bed->op(), "used").status(), "snapshot_usage of what is gone",
              {absl::StatusCode::kNotFound});
}

void checkRemoval(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer = smallLayer("file");
  const std::string root = bed->mountLayers("used", {layer});
  if (root.empty()) return;
  bed->step("snapshot_remove of what is mounted");
  probe.fails(bed->plugin().remove(bed->op(), "used"), "snapshot_remove of what is mounted",
              {absl::StatusCode::kFailedPrecondition});
  expectContent(probe, strCat(root, "/file"), "content of file\n");
  bed->step("layer_remove of what is used");
  probe.fails(bed->plugin().removeLayer(bed->op(), layer.layer), "layer_remove of what is used",
              {absl::StatusCode::kFailedPrecondition});
  expectContent(probe, strCat(root, "/file"), "content of file\n");
  bed->removeAll("used", {layer});
  bed->step("snapshot_unmount of an unknown key");
  probe.succeeds(bed->plugin().unmount(bed->op(), "unknown", root),
                 "snapshot_unmount of an unknown key");
  bed->remove("unknown");
  probe.expect(!bed->lists(layer) && !bed->listsSnapshot("used"),
               "what was removed is still listed");
}

void checkConcurrent(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer same = makeLayer(LayerTar().file("same", std::string(200000, 's')));
  bed->step("layer_apply of one layer from several threads");
  probe.succeeds(
      support::inParallel(
          kAtOnce, kAtOnce,
          [&](size_t) {
            return bed->plugin().applyLayer(bed->op(), same.layer, piecesOf(same.tar)).status();
          }),
      "layer_apply of one layer from several threads");
  probe.expect(bed->lists(same), "a layer applied from several threads is not listed");
  std::vector<TestLayer> layers;
  for (size_t i = 0; i < kAtOnce; ++i) layers.push_back(smallLayer(strCat("layer-", i)));
  bed->step("layer_apply of different layers at the same time");
  probe.succeeds(support::inParallel(kAtOnce, kAtOnce,
                                     [&](size_t i) {
                                       return bed->plugin()
                                           .applyLayer(bed->op(), layers[i].layer,
                                                       piecesOf(layers[i].tar))
                                           .status();
                                     }),
                 "layer_apply of different layers at the same time");
  bed->step("snapshot_prepare of one key from several threads");
  probe.succeeds(
      support::inParallel(
          kAtOnce, kAtOnce,
          [&](size_t) { return bed->plugin().prepare(bed->op(), specOf("same", {same})); }),
      "snapshot_prepare of one key from several threads");
  bed->step("different snapshots at the same time");
  probe.succeeds(
      support::inParallel(
          kAtOnce, kAtOnce,
          [&](size_t i) -> absl::Status {
            const std::string key = strCat("key-", i);
            const std::string target = bed->targetOf(key);
            BERTH_RETURN_IF_ERROR(bed->plugin().prepare(bed->op(), specOf(key, {layers[i]})));
            BERTH_RETURN_IF_ERROR(support::makeDirectories(target));
            BERTH_RETURN_IF_ERROR(bed->plugin().mount(bed->op(), key, target));
            BERTH_RETURN_IF_ERROR(support::readFile(strCat(target, "/layer-", i)).status());
            BERTH_RETURN_IF_ERROR(bed->plugin().unmount(bed->op(), key, target));
            return bed->plugin().remove(bed->op(), key);
          }),
      "different snapshots at the same time");
  bed->remove("same");
  bed->removeLayer(same);
  for (const TestLayer& layer : layers) bed->removeLayer(layer);
}

void checkAnyOrder(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  if (!bed->plugin().independentLayers())
    return probe.skip("does not declare BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS");
  const TestLayer lower = makeLayer(LayerTar().file("file", "lower").file("gone", "x"));
  const TestLayer middle = makeLayer(LayerTar().whiteout("", "gone"), &lower);
  const TestLayer upper = makeLayer(LayerTar().file("file", "upper"), &middle);
  if (!bed->apply(upper) || !bed->apply(middle) || !bed->apply(lower)) return;
  if (!bed->prepare("ordered", {lower, middle, upper})) return;
  const std::string root = bed->mount("ordered");
  if (root.empty()) return;
  expectContent(probe, strCat(root, "/file"), "upper");
  expectAbsent(probe, strCat(root, "/gone"));
  bed->removeAll("ordered", {lower, middle, upper});
}

void checkIdMapping(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  if (!bed->plugin().mapsIds()) return probe.skip("does not declare BERTH_SNAPSHOTTER_ID_MAPPING");
  const TestLayer layer = makeLayer(LayerTar().file("root", "x").file("other", "x").owner(5, 6));
  if (!bed->apply(layer)) return;
  plugins::SnapshotSpec spec = specOf("mapped", {layer});
  spec.uidMappings = {{.container_id = 0, .host_id = 100000, .length = 65536}};
  spec.gidMappings = {{.container_id = 0, .host_id = 200000, .length = 65536}};
  bed->step("snapshot_prepare with id mappings");
  if (!probe.succeeds(bed->plugin().prepare(bed->op(), spec), "snapshot_prepare with id mappings"))
    return;
  const std::string root = bed->mount("mapped");
  if (root.empty()) return;
  struct stat info {};
  const bool there = ::stat(strCat(root, "/other").c_str(), &info) == 0;
  probe.expect(there && info.st_uid == 100005 && info.st_gid == 200006,
               strCat("the owner 5:6 of a layer is ", info.st_uid, ":", info.st_gid,
                      " with mappings to 100000 and 200000"));
  bed->removeAll("mapped", {layer});
}

void checkDiff(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer = makeLayer(LayerTar().file("kept", "kept").file("removed", "x"));
  const std::string root = bed->mountLayers("changed", {layer});
  if (root.empty()) return;
  probe.succeeds(write(strCat(root, "/made"), "made"), "make a file");
  probe.succeeds(support::removePath(strCat(root, "/removed")), "remove a file of the layer");
  TestLayer changes;
  const plugins::PieceTaker keep = [&](std::string_view piece) {
    changes.tar += piece;
    return absl::OkStatus();
  };
  bed->step("diff");
  const absl::Status told = bed->plugin().diff(bed->op(), "changed", 1, keep);
  if (absl::IsUnimplemented(told)) {
    bed->removeAll("changed", {layer});
    return probe.skip("does not offer berth.snapshotter.diff");
  }
  if (!probe.succeeds(told, "diff")) return;
  changes.layer = {digestOf(strCat(layer.layer.chainId, " ", digestOf(changes.tar))),
                   layer.layer.chainId, digestOf(changes.tar)};
  const std::string copy = bed->mountLayers("copy", {layer, changes});
  if (!copy.empty()) {
    expectContent(probe, strCat(copy, "/kept"), "kept");
    expectContent(probe, strCat(copy, "/made"), "made");
    expectAbsent(probe, strCat(copy, "/removed"));
  }
  bed->unmount("copy");
  bed->remove("copy");
  bed->removeLayer(changes);
  bed->step("diff of an unknown key");
  probe.fails(bed->plugin().diff(bed->op(), "unknown", 0, keep), "diff of an unknown key",
              {absl::StatusCode::kNotFound});
  bed->step("diff above more layers than there are");
  probe.fails(bed->plugin().diff(bed->op(), "changed", 2, keep),
              "diff above more layers than there are", {absl::StatusCode::kOutOfRange});
  bed->removeAll("changed", {layer});
}

}  // namespace

std::vector<Check> snapshotterSnapshotChecks() {
  const auto kind = plugins::Kind::kSnapshotter;
  return {
      {.name = "snapshotter.keys",
       .meaning = "A key names one snapshot: preparing it again succeeds, with other layers not.",
       .rule = "snapshotter.h, snapshot_prepare: with others it is ALREADY_EXISTS",
       .run = &checkKeys,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.mounts",
       .meaning = "A snapshot is mounted once, keeps what is written, and shares nothing of it.",
       .rule = "snapshotter.h: snapshot_mount (repeating it succeeds), snapshot_unmount",
       .run = &checkMounts,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.read-only",
       .meaning = "A read-only snapshot shows its layers and takes no writes.",
       .rule = "snapshotter.h, berth_snapshot_spec.read_only",
       .run = &checkReadOnly,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.usage",
       .meaning = "Usage counts what was written, and the file system what is kept in all.",
       .rule = "snapshotter.h: snapshot_usage (of the writable layer alone), filesystem",
       .run = &checkUsage,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.removal",
       .meaning = "What is in use is not removed; what is unknown is already gone.",
       .rule = "snapshotter.h: everything that removes is idempotent; FAILED_PRECONDITION in use",
       .run = &checkRemoval,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.concurrent",
       .meaning = "The same and different layers and keys are worked on at the same time.",
       .rule = "snapshotter.h, layer_apply: one wins, both succeed; plugin.h, berth_threading",
       .run = &checkConcurrent,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.any-order",
       .meaning = "Independent layers are applied in any order.",
       .rule = "snapshotter.h, BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS",
       .run = &checkAnyOrder,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.id-mapping",
       .meaning = "Owners are mapped as the snapshot's user namespace says.",
       .rule = "snapshotter.h, BERTH_SNAPSHOTTER_ID_MAPPING",
       .run = &checkIdMapping,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.diff",
       .meaning = "What a snapshot has changed is a layer that gives the same content.",
       .rule = "extensions.h, berth_snapshotter_diff",
       .run = &checkDiff,
       .rights = Rights::kRoot,
       .kind = kind},
  };
}

}  // namespace berth::check
