#include "plugins/interfaces.hpp"

#include <cstring>
#include <optional>

#include "berth/image_source.h"
#include "berth/network.h"
#include "berth/runtime.h"
#include "berth/snapshotter.h"
#include "berth/support/status.hpp"

namespace berth::plugins {

std::string_view kindName(Kind kind) {
  switch (kind) {
    case Kind::kRuntime:
      return "runtime";
    case Kind::kSnapshotter:
      return "snapshotter";
    case Kind::kImageSource:
      return "image source";
    case Kind::kNetwork:
      return "network";
  }
  return "";
}

std::string_view interfaceId(Kind kind) {
  switch (kind) {
    case Kind::kRuntime:
      return BERTH_RUNTIME_INTERFACE;
    case Kind::kSnapshotter:
      return BERTH_SNAPSHOTTER_INTERFACE;
    case Kind::kImageSource:
      return BERTH_IMAGE_SOURCE_INTERFACE;
    case Kind::kNetwork:
      return BERTH_NETWORK_INTERFACE;
  }
  return "";
}

std::optional<Kind> kindOf(std::string_view interfaceId) {
  for (const Kind kind : {Kind::kRuntime, Kind::kSnapshotter, Kind::kImageSource, Kind::kNetwork}) {
    if (plugins::interfaceId(kind) == interfaceId) return kind;
  }
  return std::nullopt;
}

size_t tableSize(Kind kind) {
  switch (kind) {
    case Kind::kRuntime:
      return sizeof(berth_runtime);
    case Kind::kSnapshotter:
      return sizeof(berth_snapshotter);
    case Kind::kImageSource:
      return sizeof(berth_image_source);
    case Kind::kNetwork:
      break;
  }
  return sizeof(berth_network);
}

#define BERTH_CALLBACK(table, member) \
  { #member, offsetof(table, member) }

const std::vector<Callback>& mandatoryCallbacks(Kind kind) {
  static const std::vector<Callback> runtime = {
      BERTH_CALLBACK(berth_runtime, features),
      BERTH_CALLBACK(berth_runtime, pod_create),
      BERTH_CALLBACK(berth_runtime, pod_start),
      BERTH_CALLBACK(berth_runtime, pod_stop),
      BERTH_CALLBACK(berth_runtime, pod_remove),
      BERTH_CALLBACK(berth_runtime, pod_recover),
      BERTH_CALLBACK(berth_runtime, container_create),
      BERTH_CALLBACK(berth_runtime, container_start),
      BERTH_CALLBACK(berth_runtime, container_kill),
      BERTH_CALLBACK(berth_runtime, container_wait),
      BERTH_CALLBACK(berth_runtime, container_remove),
      BERTH_CALLBACK(berth_runtime, container_update),
      BERTH_CALLBACK(berth_runtime, container_reopen_log),
      BERTH_CALLBACK(berth_runtime, container_stats),
      BERTH_CALLBACK(berth_runtime, pod_stats),
      BERTH_CALLBACK(berth_runtime, exec_start),
      BERTH_CALLBACK(berth_runtime, exec_wait),
      BERTH_CALLBACK(berth_runtime, resize),
      BERTH_CALLBACK(berth_runtime, attach),
  };
  static const std::vector<Callback> snapshotter = {
      BERTH_CALLBACK(berth_snapshotter, flags),
      BERTH_CALLBACK(berth_snapshotter, layer_apply),
      BERTH_CALLBACK(berth_snapshotter, layer_usage),
      BERTH_CALLBACK(berth_snapshotter, layer_remove),
      BERTH_CALLBACK(berth_snapshotter, layer_list),
      BERTH_CALLBACK(berth_snapshotter, snapshot_prepare),
      BERTH_CALLBACK(berth_snapshotter, snapshot_mount),
      BERTH_CALLBACK(berth_snapshotter, snapshot_unmount),
      BERTH_CALLBACK(berth_snapshotter, snapshot_usage),
      BERTH_CALLBACK(berth_snapshotter, snapshot_remove),
      BERTH_CALLBACK(berth_snapshotter, snapshot_list),
      BERTH_CALLBACK(berth_snapshotter, filesystem),
  };
  static const std::vector<Callback> imageSource = {
      BERTH_CALLBACK(berth_image_source, serves),
      BERTH_CALLBACK(berth_image_source, resolve),
      BERTH_CALLBACK(berth_image_source, fetch),
  };
  static const std::vector<Callback> network = {
      BERTH_CALLBACK(berth_network, attach), BERTH_CALLBACK(berth_network, detach),
      BERTH_CALLBACK(berth_network, check),  BERTH_CALLBACK(berth_network, status),
      BERTH_CALLBACK(berth_network, gc),     BERTH_CALLBACK(berth_network, set_pod_cidr),
  };
  switch (kind) {
    case Kind::kRuntime:
      return runtime;
    case Kind::kSnapshotter:
      return snapshotter;
    case Kind::kImageSource:
      return imageSource;
    case Kind::kNetwork:
      break;
  }
  return network;
}

#undef BERTH_CALLBACK

absl::Status copyTable(Kind kind, const void* functions, void* table, size_t size) {
  if (functions == nullptr) {
    return absl::FailedPreconditionError("its function table is null");
  }
  size_t theirs = 0;
  std::memcpy(&theirs, functions, sizeof theirs);
  std::memcpy(table, functions, std::min(theirs, size));
  std::memcpy(table, &size, sizeof size);
  for (const Callback& callback : mandatoryCallbacks(kind)) {
    void* function = nullptr;
    std::memcpy(&function, static_cast<const char*>(table) + callback.offset, sizeof function);
    if (function == nullptr) {
      return absl::FailedPreconditionError(support::strCat(
          "it lacks the mandatory callback `", callback.name, "` of ", interfaceId(kind)));
    }
  }
  return absl::OkStatus();
}

}  // namespace berth::plugins
