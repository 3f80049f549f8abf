// C++ wrapper of berth/snapshotter.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/snapshotter.h"

namespace berth {

// The names a list call yields.
class NameSink {
 public:
  explicit NameSink(berth_name_sink* sink) : sink_(sink) {}
  void add(std::string_view name) { sink_->add(sink_, str(name)); }

 private:
  berth_name_sink* sink_;
};

// The bytes of a layer's tar. `next` gives an empty view at the end.
class Stream {
 public:
  explicit Stream(berth_stream* stream) : stream_(stream) {}
  Status next(std::string_view& piece) {
    berth_bytes got{nullptr, 0};
    const berth_code code = stream_->next(stream_, &got);
    piece = view(got);
    return code == BERTH_OK ? Status() : Status(code, "the layer's stream ended early");
  }

 private:
  berth_stream* stream_;
};

// berth_snapshot_spec with its arrays laid out for this side.
struct SnapshotSpec {
  std::string_view key;
  std::vector<berth_layer> layers;  // lowest first
  bool readOnly = false;
  std::vector<berth_id_mapping> uidMappings;
  std::vector<berth_id_mapping> gidMappings;
  std::string_view selinuxLabel;
};

// Contracts of the functions: berth/snapshotter.h, same names.
class Snapshotter : public Plugin {
 public:
  using Kind = Snapshotter;
  static constexpr std::string_view kInterface = BERTH_SNAPSHOTTER_INTERFACE;
  using Plugin::Plugin;

  virtual uint32_t flags() = 0;
  virtual Status layerApply(const Op& op, const berth_layer& layer, Stream& tar,
                            berth_usage& usage) = 0;
  virtual Status layerUsage(const Op& op, const berth_layer& layer, berth_usage& usage) = 0;
  virtual Status layerRemove(const Op& op, const berth_layer& layer) = 0;
  virtual Status layerList(const Op& op, NameSink& out) = 0;
  virtual Status snapshotPrepare(const Op& op, const SnapshotSpec& spec) = 0;
  virtual Status snapshotMount(const Op& op, std::string_view key, std::string_view target) = 0;
  virtual Status snapshotUnmount(const Op& op, std::string_view key, std::string_view target) = 0;
  virtual Status snapshotUsage(const Op& op, std::string_view key, berth_usage& usage) = 0;
  virtual Status snapshotRemove(const Op& op, std::string_view key) = 0;
  virtual Status snapshotList(const Op& op, NameSink& out) = 0;
  virtual Status filesystem(const Op& op, std::string& path, berth_usage& usage) = 0;

  static const berth_snapshotter* functions();
};

namespace detail {

inline SnapshotSpec snapshotSpec(const berth_snapshot_spec* given) {
  const berth_snapshot_spec spec = known(given);
  SnapshotSpec result;
  result.key = view(spec.key);
  result.readOnly = spec.read_only != 0;
  result.selinuxLabel = view(spec.selinux_label);
  for (size_t i = 0; i < spec.layer_count; ++i) {
    result.layers.push_back(known(static_cast<const berth_layer*>(berth_at(spec.layers, i))));
  }
  result.uidMappings.assign(spec.uid_mappings, spec.uid_mappings + spec.uid_mapping_count);
  result.gidMappings.assign(spec.gid_mappings, spec.gid_mappings + spec.gid_mapping_count);
  return result;
}

struct SnapshotterCalls {
  static Snapshotter& self(void* instance) { return *static_cast<Snapshotter*>(instance); }

  // Runs a call that yields a usage and hands it over when the call succeeded.
  template <class Body>
  static berth_code withUsage(berth_usage* usage, berth_error* error, Body body) {
    return guard(error, [&]() -> Status {
      berth_usage mine = known(static_cast<const berth_usage*>(nullptr));
      Status status = body(mine);
      if (status.ok()) give(usage, mine);
      return status;
    });
  }

  static uint32_t flags(void* instance) {
    uint32_t result = 0;
    guard(nullptr, [&]() -> Status {
      result = self(instance).flags();
      return {};
    });
    return result;
  }
  static berth_code layerApply(void* instance, const berth_op* op, const berth_layer* layer,
                               berth_stream* tar, berth_usage* usage, berth_error* error) {
    return withUsage(usage, error, [&](berth_usage& mine) {
      Stream stream(tar);
      return self(instance).layerApply(Op(op), known(layer), stream, mine);
    });
  }
  static berth_code layerUsage(void* instance, const berth_op* op, const berth_layer* layer,
                               berth_usage* usage, berth_error* error) {
    return withUsage(usage, error, [&](berth_usage& mine) {
      return self(instance).layerUsage(Op(op), known(layer), mine);
    });
  }
  static berth_code layerRemove(void* instance, const berth_op* op, const berth_layer* layer,
                                berth_error* error) {
    return guard(error, [&] { return self(instance).layerRemove(Op(op), known(layer)); });
  }
  static berth_code layerList(void* instance, const berth_op* op, berth_name_sink* out,
                              berth_error* error) {
    return guard(error, [&] {
      NameSink sink(out);
      return self(instance).layerList(Op(op), sink);
    });
  }
  static berth_code snapshotPrepare(void* instance, const berth_op* op,
                                    const berth_snapshot_spec* spec, berth_error* error) {
    return guard(error, [&] { return self(instance).snapshotPrepare(Op(op), snapshotSpec(spec)); });
  }
  static berth_code snapshotMount(void* instance, const berth_op* op, berth_str key,
                                  berth_str target, berth_error* error) {
    return guard(error,
                 [&] { return self(instance).snapshotMount(Op(op), view(key), view(target)); });
  }
  static berth_code snapshotUnmount(void* instance, const berth_op* op, berth_str key,
                                    berth_str target, berth_error* error) {
    return guard(error,
                 [&] { return self(instance).snapshotUnmount(Op(op), view(key), view(target)); });
  }
  static berth_code snapshotUsage(void* instance, const berth_op* op, berth_str key,
                                  berth_usage* usage, berth_error* error) {
    return withUsage(usage, error, [&](berth_usage& mine) {
      return self(instance).snapshotUsage(Op(op), view(key), mine);
    });
  }
  static berth_code snapshotRemove(void* instance, const berth_op* op, berth_str key,
                                   berth_error* error) {
    return guard(error, [&] { return self(instance).snapshotRemove(Op(op), view(key)); });
  }
  static berth_code snapshotList(void* instance, const berth_op* op, berth_name_sink* out,
                                 berth_error* error) {
    return guard(error, [&] {
      NameSink sink(out);
      return self(instance).snapshotList(Op(op), sink);
    });
  }
  static berth_code filesystem(void* instance, const berth_op* op, berth_sink* path,
                               berth_usage* usage, berth_error* error) {
    return withUsage(usage, error, [&](berth_usage& mine) -> Status {
      std::string name;
      Status status = self(instance).filesystem(Op(op), name, mine);
      if (!status.ok()) return status;
      const berth_code code = path->write(path, name.data(), name.size());
      return code == BERTH_OK ? Status() : Status(code, "the host did not take the path");
    });
  }
};

}  // namespace detail

inline const berth_snapshotter* Snapshotter::functions() {
  using Calls = detail::SnapshotterCalls;
  static const berth_snapshotter table = {
      .size = sizeof(berth_snapshotter),
      .flags = &Calls::flags,
      .layer_apply = &Calls::layerApply,
      .layer_usage = &Calls::layerUsage,
      .layer_remove = &Calls::layerRemove,
      .layer_list = &Calls::layerList,
      .snapshot_prepare = &Calls::snapshotPrepare,
      .snapshot_mount = &Calls::snapshotMount,
      .snapshot_unmount = &Calls::snapshotUnmount,
      .snapshot_usage = &Calls::snapshotUsage,
      .snapshot_remove = &Calls::snapshotRemove,
      .snapshot_list = &Calls::snapshotList,
      .filesystem = &Calls::filesystem,
  };
  return &table;
}

}  // namespace berth
