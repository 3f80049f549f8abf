// Checks of what a snapshotter makes of layers.
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/layers.hpp"

namespace berth::check {

using support::strCat;

namespace {

void checkLayers(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer =
      makeLayer(LayerTar().directory("d/").file("d/file", std::string(100000, 'x')));
  bed->step("layer_usage of an unknown layer");
  probe.fails(bed->plugin().layerUsage(bed->op(), layer.layer).status(),
              "layer_usage of an unknown layer", {absl::StatusCode::kNotFound});
  bed->step("layer_remove of an unknown layer");
  probe.succeeds(bed->plugin().removeLayer(bed->op(), layer.layer),
                 "layer_remove of an unknown layer");
  bed->step("layer_apply");
  const auto applied = bed->plugin().applyLayer(bed->op(), layer.layer, piecesOf(layer.tar));
  if (!probe.succeeds(applied.status(), "layer_apply")) return;
  probe.expect(applied->bytes >= 100000 || applied->inodes > 0,
               strCat("layer_apply gives a usage of ", applied->bytes, " bytes and ",
                      applied->inodes, " inodes for a file of 100000 bytes"));
  bed->step("layer_usage");
  const auto usage = bed->plugin().layerUsage(bed->op(), layer.layer);
  if (probe.succeeds(usage.status(), "layer_usage"))
    probe.expect(usage->bytes == applied->bytes && usage->inodes == applied->inodes,
                 "layer_usage is not what layer_apply gave");
  probe.expect(bed->lists(layer), "layer_list has not what was applied");
  bool read = false;
  bed->step("layer_apply of a layer that is there");
  const auto again =
      bed->plugin().applyLayer(bed->op(), layer.layer, [&]() -> absl::StatusOr<std::string_view> {
        read = true;
        return absl::DataLossError("the stream of a layer that is there");
      });
  probe.succeeds(again.status(), "layer_apply of a layer that is there");
  probe.expect(!read, "layer_apply reads the stream of a layer that is there");
  bed->removeLayer(layer);
  probe.expect(!bed->lists(layer), "layer_list still has what was removed");
  bed->step("layer_remove again");
  probe.succeeds(bed->plugin().removeLayer(bed->op(), layer.layer), "layer_remove again");
}

void checkContent(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const std::string large(300000, 'L');
  const std::string longName(180, 'n');
  const TestLayer lower = makeLayer(LayerTar()
                                        .directory("bin/")
                                        .file("bin/program", "#!/bin/sh\n", 0755)
                                        .owner(12, 34)
                                        .file("bin/setuid", "s", 04755)
                                        .file("large", large)
                                        .file(longName, "long")
                                        .file("replaced", "lower")
                                        .directory("private/", 0700)
                                        .symlink("link", "bin/program")
                                        .hardLink("hard", "bin/program"));
  const TestLayer upper =
      makeLayer(LayerTar().file("replaced", "upper").file("deep/er/file", "implied"), &lower);
  const std::string root = bed->mountLayers("content", {lower, upper});
  if (root.empty()) return;
  expectContent(probe, strCat(root, "/bin/program"), "#!/bin/sh\n");
  expectContent(probe, strCat(root, "/large"), large);
  expectContent(probe, strCat(root, "/", longName), "long");
  expectContent(probe, strCat(root, "/replaced"), "upper");
  expectContent(probe, strCat(root, "/deep/er/file"), "implied");
  struct stat info {
  }, other{};
  probe.expect(::stat(strCat(root, "/bin/program").c_str(), &info) == 0 &&
                   (info.st_mode & 07777) == 0755 && info.st_uid == 12 && info.st_gid == 34,
               "bin/program has not the mode 755 and the owner 12:34 of its layer");
  probe.expect(info.st_mtime == 1600000000, "bin/program has not the time of its layer");
  probe.expect(::stat(strCat(root, "/hard").c_str(), &other) == 0 && other.st_ino == info.st_ino,
               "the hard link is another file than what it names");
  probe.expect(
      ::stat(strCat(root, "/bin/setuid").c_str(), &info) == 0 && (info.st_mode & 07777) == 04755,
      "bin/setuid has not the mode 4755 of its layer");
  probe.expect(
      ::stat(strCat(root, "/private").c_str(), &info) == 0 && (info.st_mode & 07777) == 0700,
      "private has not the mode 700 of its layer");
  char target[64] = {};
  probe.expect(::readlink(strCat(root, "/link").c_str(), target, sizeof target - 1) > 0 &&
                   std::string_view(target) == "bin/program",
               "the symbolic link does not name what its layer says");
  bed->removeAll("content", {lower, upper});
}

void checkWhiteouts(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer lower = makeLayer(LayerTar()
                                        .file("gone", "x")
                                        .file("stays", "x")
                                        .directory("folder/")
                                        .file("folder/inner", "x")
                                        .directory("whole/")
                                        .file("whole/inner", "x")
                                        .file("replaced", "lower"));
  const TestLayer middle = makeLayer(LayerTar()
                                         .whiteout("", "gone")
                                         .whiteout("folder/", "inner")
                                         .whiteout("", "whole")
                                         .whiteout("", "never-there"),
                                     &lower);
  const TestLayer upper = makeLayer(LayerTar().file("gone", "back"), &middle);
  std::string root = bed->mountLayers("whiteouts", {lower, middle});
  if (root.empty()) return;
  expectContent(probe, strCat(root, "/stays"), "x");
  for (const char* name : {"gone", "folder/inner", "whole", "never-there", ".wh.gone",
                           "folder/.wh.inner", ".wh.whole", ".wh.never-there"})
    expectAbsent(probe, strCat(root, "/", name));
  probe.expect(support::pathExists(strCat(root, "/folder")),
               "the folder of a whiteout is gone with what it hides");
  root = bed->mountLayers("above", {lower, middle, upper});
  if (root.empty()) return;
  expectContent(probe, strCat(root, "/gone"), "back");
  bed->unmount("above");
  bed->remove("above");
  bed->removeLayer(upper);
  bed->removeAll("whiteouts", {lower, middle});
}

void checkOpaque(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer lower = makeLayer(LayerTar()
                                        .directory("folder/")
                                        .file("folder/old", "x")
                                        .directory("folder/inner/")
                                        .file("folder/inner/old", "x")
                                        .file("outside", "x"));
  // The mark may come before or after what the layer itself has there.
  const TestLayer upper = makeLayer(LayerTar()
                                        .directory("folder/")
                                        .file("folder/new", "new")
                                        .opaque("folder/")
                                        .file("folder/later", "later"),
                                    &lower);
  const std::string root = bed->mountLayers("opaque", {lower, upper});
  if (root.empty()) return;
  expectContent(probe, strCat(root, "/folder/new"), "new");
  expectContent(probe, strCat(root, "/folder/later"), "later");
  expectContent(probe, strCat(root, "/outside"), "x");
  for (const char* name : {"folder/old", "folder/inner", "folder/.wh..wh..opq"})
    expectAbsent(probe, strCat(root, "/", name));
  bed->removeAll("opaque", {lower, upper});
}

void checkEscapes(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const std::string outside = probe.path("outside");
  if (!probe.succeeds(support::makeDirectories(outside), "make a folder")) return;
  if (!probe.succeeds(support::replaceFile(strCat(outside, "/secret"), "secret", 0600,
                                           support::Durability::kVisible),
                      "write a file"))
    return;
  const std::string up = "../../../../../../../../../../../../../../../..";
  const std::pair<const char*, TestLayer> refused[] = {
      {"a name with ..", makeLayer(LayerTar().file(strCat(up, outside, "/made"), "x"))},
      {"a hard link with ..",
       makeLayer(LayerTar().hardLink("stolen", strCat(up, outside, "/secret")))}};
  for (const auto& [what, layer] : refused) {
    bed->step(strCat("layer_apply of ", what));
    probe.fails(bed->plugin().applyLayer(bed->op(), layer.layer, piecesOf(layer.tar)).status(),
                strCat("layer_apply of ", what), {absl::StatusCode::kInvalidArgument});
    probe.expect(!bed->lists(layer), strCat("a layer with ", what, " is listed"));
  }
  // Through a link the entry is either refused or stays within the layer.
  const TestLayer through = makeLayer(
      LayerTar().symlink("way", outside).file("way/made", "x").file("way/secret", "changed"));
  bed->step("layer_apply through a symbolic link");
  bed->plugin().applyLayer(bed->op(), through.layer, piecesOf(through.tar)).status().IgnoreError();
  expectAbsent(probe, strCat(outside, "/made"));
  expectContent(probe, strCat(outside, "/secret"), "secret");
  bed->removeLayer(through);
}

void checkDamaged(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer whole =
      makeLayer(LayerTar().file("first", "1").file("second", std::string(50000, '2')));
  const std::string cut = whole.tar.substr(0, 20000);
  bed->step("layer_apply of half a tar");
  probe.fails(bed->plugin().applyLayer(bed->op(), whole.layer, piecesOf(cut)).status(),
              "layer_apply of half a tar");
  probe.expect(!bed->lists(whole), "half a layer is listed");
  bed->step("layer_apply of a stream that fails");
  int pieces = 0;
  const auto failed =
      bed->plugin().applyLayer(bed->op(), whole.layer, [&]() -> absl::StatusOr<std::string_view> {
        if (++pieces > 1) return absl::UnavailableError("the stream fails");
        return std::string_view(whole.tar).substr(0, 10000);
      });
  probe.fails(failed.status(), "layer_apply of a stream that fails",
              {absl::StatusCode::kUnavailable});
  probe.expect(pieces == 2, strCat("the stream that failed was asked ", pieces - 2, " times more"));
  probe.expect(!bed->lists(whole), "a layer whose stream failed is listed");
  const std::string noise(20000, '\xA5');
  bed->step("layer_apply of no tar");
  probe.fails(bed->plugin().applyLayer(bed->op(), whole.layer, piecesOf(noise)).status(),
              "layer_apply of no tar");
  if (bed->apply(whole)) {
    probe.expect(bed->lists(whole), "a layer applied after a failure is not listed");
    bed->removeLayer(whole);
  }
}

}  // namespace

std::vector<Check> snapshotterLayerChecks() {
  const auto kind = plugins::Kind::kSnapshotter;
  return {
      {.name = "snapshotter.layers",
       .meaning = "A layer is applied once, counted, listed, and removed as often as one likes.",
       .rule = "snapshotter.h: layer_apply, layer_usage, layer_list, layer_remove",
       .run = &checkLayers,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.content",
       .meaning = "A mounted snapshot has what its layers say: content, modes, owners, links.",
       .rule = "snapshotter.h: its tar follows \"Image Layer Filesystem Changeset\"",
       .run = &checkContent,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.whiteouts",
       .meaning = "A whiteout hides what the layers below have, and is not seen itself.",
       .rule = "snapshotter.h: entries, whiteouts, opaque whiteouts",
       .run = &checkWhiteouts,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.opaque",
       .meaning = "An opaque directory hides all that the layers below have in it.",
       .rule = "snapshotter.h: entries, whiteouts, opaque whiteouts",
       .run = &checkOpaque,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.escapes",
       .meaning = "Entries that leave the root of their layer are refused and touch nothing.",
       .rule = "snapshotter.h, layer_apply: refused with INVALID_ARGUMENT",
       .run = &checkEscapes,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.damaged",
       .meaning = "Half a tar, none at all, and a stream that fails leave no layer behind.",
       .rule = "snapshotter.h, layer_apply: the layer is there, whole and durable, or not at all",
       .run = &checkDamaged,
       .rights = Rights::kRoot,
       .kind = kind},
  };
}

}  // namespace berth::check
