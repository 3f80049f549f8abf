// Checks of a snapshotter when calls are cancelled, wrong, or end with the process.
#include <csignal>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/layers.hpp"
#include "plugin_check/wider.hpp"

namespace berth::check {

using support::strCat;

namespace {

// A stream that has given the first piece and then waits until the operation is over, or for ever.
plugins::PieceSource stalled(const TestLayer& layer, const plugins::Operation& op) {
  auto first = std::make_shared<bool>(true);
  return [&layer, &op, first]() -> absl::StatusOr<std::string_view> {
    if (*first) {
      *first = false;
      return std::string_view(layer.tar).substr(0, 20000);
    }
    while (op.check().ok()) {
      timespec moment{0, 1000000};
      ::nanosleep(&moment, nullptr);
    }
    // What a host gives whose operation is over.
    return op.check();
  };
}

TestLayer largeLayer() {
  return makeLayer(
      LayerTar().file("first", std::string(15000, '1')).file("second", std::string(200000, '2')));
}

void checkCancellation(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer = largeLayer();
  const auto apply = [&](const plugins::Operation& op) {
    return bed->plugin().applyLayer(op, layer.layer, stalled(layer, op)).status();
  };
  judgeCancelledBefore(probe, "layer_apply", apply);
  probe.expect(!bed->lists(layer), "a layer whose layer_apply was cancelled is listed");
  judgeCancelledDuring(probe, "layer_apply", apply);
  judgeDeadline(probe, "layer_apply", apply);
  probe.expect(!bed->lists(layer), "a layer whose layer_apply was cancelled is listed");
  if (!bed->apply(layer)) return;
  judgeCancelledBefore(probe, "layer_list", [&](const plugins::Operation& op) {
    return bed->plugin().listLayers(op).status();
  });
  judgeCancelledBefore(probe, "snapshot_prepare", [&](const plugins::Operation& op) {
    return bed->plugin().prepare(op, specOf("cancelled", {layer}));
  });
  judgeCancelledBefore(probe, "snapshot_usage", [&](const plugins::Operation& op) {
    return bed->plugin().usage(op, "cancelled").status();
  });
  judgeCancelledBefore(probe, "snapshot_remove", [&](const plugins::Operation& op) {
    return bed->plugin().remove(op, "cancelled");
  });
  bed->remove("cancelled");
  bed->removeLayer(layer);
}

void checkErrors(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer layer = smallLayer("file");
  plugins::Layer nameless = layer.layer;
  nameless.chainId = nameless.diffId = "";
  bed->step("layer_apply of a layer without names");
  probe.fails(bed->plugin().applyLayer(bed->op(), nameless, piecesOf(layer.tar)).status(),
              "layer_apply of a layer without names");
  plugins::Layer odd = layer.layer;
  odd.chainId = odd.diffId = "../../../escape";
  bed->step("layer_apply of a layer with a path for a name");
  probe.fails(bed->plugin().applyLayer(bed->op(), odd, piecesOf(layer.tar)).status(),
              "layer_apply of a layer with a path for a name");
  if (!bed->apply(layer)) return;
  bed->step("snapshot_prepare of an empty key");
  probe.fails(bed->plugin().prepare(bed->op(), specOf("", {layer})),
              "snapshot_prepare of an empty key");
  const std::string target = bed->targetOf("unknown");
  if (!probe.succeeds(support::makeDirectories(target), "make the target")) return;
  bed->step("snapshot_mount of an unknown key");
  probe.fails(bed->plugin().mount(bed->op(), "unknown", target), "snapshot_mount of an unknown key",
              {absl::StatusCode::kNotFound});
  if (!bed->prepare("key", {layer})) return;
  bed->step("snapshot_mount on a folder that is not there");
  probe.fails(bed->plugin().mount(bed->op(), "key", strCat(target, "/missing")),
              "snapshot_mount on a folder that is not there");
  const auto& table =
      *static_cast<const berth_snapshotter*>(bed->session().library().description().functions);
  bed->step("a failing call without an error argument");
  berth_usage usage{.size = sizeof usage, .bytes = 0, .inodes = 0};
  const berth_code code = table.snapshot_usage(bed->session().instance().handle(), bed->op().op(),
                                               str("unknown"), &usage, nullptr);
  probe.expect(code == BERTH_NOT_FOUND,
               strCat("snapshot_usage of an unknown key without an error argument returns ", code));
  bed->remove("key");
  bed->removeLayer(layer);
}

void checkFutureStructs(Probe& probe) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  const TestLayer lower = smallLayer("lower");
  const TestLayer upper = smallLayer("upper", &lower);
  const auto& table =
      *static_cast<const berth_snapshotter*>(bed->session().library().description().functions);
  std::vector<Wider<berth_layer>> layers;
  for (const TestLayer* one : {&lower, &upper}) {
    if (!bed->apply(*one)) return;
    layers.emplace_back(berth_layer{.size = 0,
                                    .chain_id = str(one->layer.chainId),
                                    .parent_chain_id = str(one->layer.parentChainId),
                                    .diff_id = str(one->layer.diffId)});
  }
  berth_snapshot_spec known{};
  known.key = str("wider");
  known.layers = &layers.front().known;
  known.layer_count = layers.size();
  const Wider<berth_snapshot_spec> spec(known);
  void* handle = bed->session().instance().handle();
  bed->step("snapshot_prepare with structs of a later version");
  if (!probe.succeeds(bed->session().instance().call({},
                                                     [&](berth_error* error) {
                                                       return table.snapshot_prepare(
                                                           handle, bed->op().op(), &spec.known,
                                                           error);
                                                     }),
                      "snapshot_prepare with structs of a later version"))
    return;
  const std::string root = bed->mount("wider");
  if (!root.empty()) {
    expectContent(probe, strCat(root, "/lower"), "content of lower\n");
    expectContent(probe, strCat(root, "/upper"), "content of upper\n");
  }
  Wider<berth_usage> usage(berth_usage{});
  bed->step("layer_usage with a usage of a later version");
  probe.succeeds(bed->session().instance().call({},
                                                [&](berth_error* error) {
                                                  return table.layer_usage(handle, bed->op().op(),
                                                                           &layers.front().known,
                                                                           &usage.known, error);
                                                }),
                 "layer_usage with a usage of a later version");
  probe.expect(usage.known.size == sizeof usage, "layer_usage changes the caller's size");
  probe.expect(usage.untouched(), "layer_usage writes what it does not know");
  // As the caller would know it who was built before `inodes`.
  berth_usage old{.size = offsetof(berth_usage, inodes), .bytes = 0, .inodes = 12345};
  bed->step("layer_usage with a usage of an earlier version");
  probe.succeeds(bed->session().instance().call({},
                                                [&](berth_error* error) {
                                                  return table.layer_usage(handle, bed->op().op(),
                                                                           &layers.front().known,
                                                                           &old, error);
                                                }),
                 "layer_usage with a usage of an earlier version");
  probe.expect(old.inodes == 12345, "layer_usage writes behind the end of the caller's struct");
  bed->removeAll("wider", {lower, upper});
}

void checkRestart(Probe& probe) {
  const TestLayer layer = smallLayer("file");
  {
    const auto bed = SnapshotterBed::begin(probe);
    if (bed == nullptr) return;
    if (!bed->apply(layer) || !bed->prepare("kept", {layer})) return;
    const std::string root = bed->mount("kept");
    if (root.empty()) return;
    probe.succeeds(
        support::replaceFile(strCat(root, "/written"), "kept", 0644, support::Durability::kVisible),
        "write a file");
  }
  // Stopping takes nothing off: containers go on.
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  probe.expect(bed->lists(layer) && bed->listsSnapshot("kept"),
               "layers or snapshots are forgotten after stop and start");
  const std::string root = bed->targetOf("kept");
  expectContent(probe, strCat(root, "/written"), "kept");
  bed->unmount("kept");
  // As after a reboot.
  if (!bed->mount("kept").empty()) expectContent(probe, strCat(root, "/written"), "kept");
  bed->removeAll("kept", {layer});
}

// The process that is killed while a layer is half applied, and a snapshot is in use.
void crash(Probe& probe, const TestLayer& whole, const TestLayer& half) {
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  if (!bed->apply(whole) || !bed->prepare("kept", {whole})) return;
  const std::string root = bed->mount("kept");
  if (root.empty()) return;
  probe.succeeds(
      support::replaceFile(strCat(root, "/written"), "kept", 0644, support::Durability::kVisible),
      "write a file");
  bool first = true;
  bed->step("layer_apply, to be killed in it");
  const auto source = [&]() -> absl::StatusOr<std::string_view> {
    if (first) {
      first = false;
      return std::string_view(half.tar).substr(0, 20000);
    }
    probe.ready();
    for (;;) ::pause();
  };
  bed->plugin().applyLayer(bed->op(), half.layer, source).status().IgnoreError();
}

void checkCrash(Probe& probe) {
  const TestLayer whole = smallLayer("file");
  const TestLayer half = largeLayer();
  if (!probe.part().empty()) return crash(probe, whole, half);
  if (probe.library() == nullptr) return;
  if (!probe.killPart("killed")) return;
  const auto bed = SnapshotterBed::begin(probe);
  if (bed == nullptr) return;
  probe.expect(!bed->lists(half), "a layer that was half applied is listed after a crash");
  probe.expect(bed->lists(whole), "a layer is lost after a crash");
  probe.expect(bed->listsSnapshot("kept"), "a snapshot is lost after a crash");
  expectContent(probe, strCat(bed->targetOf("kept"), "/written"), "kept");
  bed->unmount("kept");
  if (!bed->mount("kept").empty()) {
    expectContent(probe, strCat(bed->targetOf("kept"), "/file"), "content of file\n");
    expectContent(probe, strCat(bed->targetOf("kept"), "/written"), "kept");
  }
  if (bed->apply(half)) bed->removeLayer(half);
  bed->removeAll("kept", {whole});
  bed->step("filesystem");
  const auto left = bed->plugin().filesystem(bed->op());
  // Half a layer of 200 KiB would be seen.
  if (probe.succeeds(left.status(), "filesystem"))
    probe.expect(left->usage.bytes < 100000, strCat("when all is removed after a crash, ",
                                                    left->usage.bytes, " bytes are left"));
}

}  // namespace

std::vector<Check> snapshotterFaultChecks() {
  const auto kind = plugins::Kind::kSnapshotter;
  return {
      {.name = "snapshotter.cancellation",
       .meaning = "Cancelled calls return within two seconds and leave nothing half-made.",
       .rule = "types.h, berth_op: after cancellation or the deadline the plugin returns",
       .run = &checkCancellation,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.errors",
       .meaning = "Empty, unknown and impossible names fail with the right code and a message.",
       .rule = "snapshotter.h; types.h: anything but BERTH_OK also sets the call's berth_error",
       .run = &checkErrors,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.future-structs",
       .meaning = "Structs of later and earlier versions are read and filled as far as known.",
       .rule = "types.h: the reader copies the smaller of both sizes; berth_at",
       .run = &checkFutureStructs,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.restart",
       .meaning = "Layers and snapshots are still there after stop and start.",
       .rule = "plugin.h, stop: what runs for pods keeps running",
       .run = &checkRestart,
       .rights = Rights::kRoot,
       .kind = kind},
      {.name = "snapshotter.crash",
       .meaning = "After the process is killed in layer_apply all that was whole is there, and "
                  "nothing else.",
       .rule = "snapshotter.h, layer_apply: the layer is there, whole and durable, or not at all",
       .run = &checkCrash,
       .rights = Rights::kRoot,
       .kind = kind},
  };
}

}  // namespace berth::check
