#include "plugins/snapshotter.hpp"

#include "berth/support/status.hpp"
#include "plugins/sinks.hpp"

namespace berth::plugins {

namespace {

berth_layer abiLayer(const Layer& layer) {
  return {.size = sizeof(berth_layer),
          .chain_id = str(layer.chainId),
          .parent_chain_id = str(layer.parentChainId),
          .diff_id = str(layer.diffId)};
}

// The berth_stream of a PieceSource; keeps the source's own failure.
class TarStream {
 public:
  explicit TarStream(const PieceSource& source) : source_(source) {}
  berth_stream* get() { return &stream_; }
  const absl::Status& failure() const { return failure_; }

 private:
  static berth_code next(berth_stream* stream, berth_bytes* piece) {
    auto& self = *static_cast<TarStream*>(stream->host);
    return detail::guard(nullptr, [&]() -> Status {
      isolation::demandPiece(piece);
      auto got = self.source_();
      if (!got.ok()) {
        self.failure_ = got.status();
        return got.status();
      }
      *piece = bytes(*got);
      return {};
    });
  }

  const PieceSource& source_;
  absl::Status failure_;
  berth_stream stream_{sizeof(berth_stream), this, &next};
};

// The berth_sink of a PieceTaker; keeps the taker's own failure.
class PieceSink {
 public:
  explicit PieceSink(const PieceTaker& take) : take_(take) {}
  berth_sink* get() { return &sink_; }
  const absl::Status& failure() const { return failure_; }

 private:
  static berth_code write(berth_sink* sink, const void* data, size_t length) {
    auto& self = *static_cast<PieceSink*>(sink->host);
    if (data == nullptr && length > 0) return BERTH_INVALID_ARGUMENT;
    return detail::guard(nullptr, [&]() -> Status {
      isolation::demandText(length);
      self.failure_ = self.take_({static_cast<const char*>(data), length});
      return self.failure_;
    });
  }

  const PieceTaker& take_;
  absl::Status failure_;
  berth_sink sink_{sizeof(berth_sink), this, &write};
};

uint32_t flagsOf(VerifyDepth depth) {
  if (depth == VerifyDepth::kQuick) return BERTH_VERIFY_QUICK;
  return 0;
}

berth_usage emptyUsage() {
  return {.size = sizeof(berth_usage), .bytes = 0, .inodes = 0};
}
Usage fromAbi(const berth_usage& usage) {
  return {usage.bytes, usage.inodes};
}

}  // namespace

Snapshotter::Snapshotter(Instance& instance) : instance_(instance) {
  // Checked when the instance was loaded.
  copyTable(Kind::kSnapshotter, instance.library().description().functions, &table_, sizeof table_)
      .IgnoreError();
}

absl::Status Snapshotter::readFlags() {
  instance_.extension(BERTH_EXTENSION_DIFF, 1, &diff_, sizeof diff_);
  instance_.extension(BERTH_EXTENSION_VERIFY, 1, &verify_, sizeof verify_);
  return instance_.call({}, [&](berth_error*) -> berth_code {
    flags_ = table_.flags(instance_.handle());
    return BERTH_OK;
  });
}

absl::StatusOr<Usage> Snapshotter::applyLayer(const Operation& op, const Layer& layer,
                                              const PieceSource& tar) {
  const berth_layer abi = abiLayer(layer);
  berth_usage usage = emptyUsage();
  TarStream stream(tar);
  absl::Status status = instance_.call(op, layer.chainId, [&](berth_error* error) {
    return table_.layer_apply(instance_.handle(), op.op(), &abi, stream.get(), &usage, error);
  });
  if (!status.ok()) return stream.failure().ok() ? status : stream.failure();
  return fromAbi(usage);
}

absl::StatusOr<Usage> Snapshotter::layerUsage(const Operation& op, const Layer& layer) {
  const berth_layer abi = abiLayer(layer);
  berth_usage usage = emptyUsage();
  BERTH_RETURN_IF_ERROR(instance_.call(op, layer.chainId, [&](berth_error* error) {
    return table_.layer_usage(instance_.handle(), op.op(), &abi, &usage, error);
  }));
  return fromAbi(usage);
}

absl::Status Snapshotter::removeLayer(const Operation& op, const Layer& layer) {
  const berth_layer abi = abiLayer(layer);
  return instance_.call(op, layer.chainId, [&](berth_error* error) {
    return table_.layer_remove(instance_.handle(), op.op(), &abi, error);
  });
}

absl::StatusOr<std::vector<std::string>> Snapshotter::listLayers(const Operation& op) {
  NameCollector names;
  const absl::Status called = instance_.call(op, {}, [&](berth_error* error) {
    return table_.layer_list(instance_.handle(), op.op(), names.get(), error);
  });
  BERTH_RETURN_IF_ERROR(names.taking().judge(name(), called));
  return std::move(names.names());
}

absl::Status Snapshotter::prepare(const Operation& op, const SnapshotSpec& spec) {
  std::vector<berth_layer> layers;
  for (const Layer& layer : spec.layers) layers.push_back(abiLayer(layer));
  const berth_snapshot_spec abi = {.size = sizeof(berth_snapshot_spec),
                                   .key = str(spec.key),
                                   .layers = layers.data(),
                                   .layer_count = layers.size(),
                                   .read_only = spec.readOnly ? 1 : 0,
                                   .reserved = 0,
                                   .uid_mappings = spec.uidMappings.data(),
                                   .uid_mapping_count = spec.uidMappings.size(),
                                   .gid_mappings = spec.gidMappings.data(),
                                   .gid_mapping_count = spec.gidMappings.size(),
                                   .selinux_label = str(spec.selinuxLabel)};
  return instance_.call(op, spec.key, [&](berth_error* error) {
    return table_.snapshot_prepare(instance_.handle(), op.op(), &abi, error);
  });
}

absl::Status Snapshotter::mount(const Operation& op, const std::string& key,
                                const std::string& target) {
  return instance_.call(op, key, [&](berth_error* error) {
    return table_.snapshot_mount(instance_.handle(), op.op(), str(key), str(target), error);
  });
}

absl::Status Snapshotter::unmount(const Operation& op, const std::string& key,
                                  const std::string& target) {
  return instance_.call(op, key, [&](berth_error* error) {
    return table_.snapshot_unmount(instance_.handle(), op.op(), str(key), str(target), error);
  });
}

absl::StatusOr<Usage> Snapshotter::usage(const Operation& op, const std::string& key) {
  berth_usage usage = emptyUsage();
  BERTH_RETURN_IF_ERROR(instance_.call(op, key, [&](berth_error* error) {
    return table_.snapshot_usage(instance_.handle(), op.op(), str(key), &usage, error);
  }));
  return fromAbi(usage);
}

absl::Status Snapshotter::remove(const Operation& op, const std::string& key) {
  return instance_.call(op, key, [&](berth_error* error) {
    return table_.snapshot_remove(instance_.handle(), op.op(), str(key), error);
  });
}

absl::Status Snapshotter::diff(const Operation& op, const std::string& key, uint32_t layers,
                               const PieceTaker& take) {
  if (diff_.diff == nullptr) {
    return absl::UnimplementedError(support::strCat(
        "the snapshotter \"", name(), "\" does not tell what a container has changed"));
  }
  PieceSink sink(take);
  const absl::Status status = instance_.call(op, key, [&](berth_error* error) {
    return diff_.diff(instance_.handle(), op.op(), str(key), layers, sink.get(), error);
  });
  return sink.failure().ok() ? status : sink.failure();
}

absl::Status Snapshotter::canVerify() const {
  const bool offered = verify_.layer_verify != nullptr && verify_.snapshot_verify != nullptr &&
                       verify_.layer_drop != nullptr && verify_.set_aside != nullptr;
  if (offered) return absl::OkStatus();
  return absl::UnimplementedError(
      support::strCat("the snapshotter \"", name(), "\" cannot verify what it keeps"));
}

absl::StatusOr<std::vector<Finding>> Snapshotter::verifyLayer(const Operation& op,
                                                              const Layer& layer,
                                                              VerifyDepth depth) {
  BERTH_RETURN_IF_ERROR(canVerify());
  const berth_layer abi = abiLayer(layer);
  FindingCollector found;
  const absl::Status called = instance_.call(op, layer.chainId, [&](berth_error* error) {
    return verify_.layer_verify(instance_.handle(), op.op(), &abi, flagsOf(depth), found.get(),
                                error);
  });
  BERTH_RETURN_IF_ERROR(found.taking().judge(name(), called));
  return std::move(found.findings());
}

absl::StatusOr<std::vector<Finding>> Snapshotter::verifySnapshot(const Operation& op,
                                                                 const std::string& key,
                                                                 VerifyDepth depth) {
  BERTH_RETURN_IF_ERROR(canVerify());
  FindingCollector found;
  const absl::Status called = instance_.call(op, key, [&](berth_error* error) {
    return verify_.snapshot_verify(instance_.handle(), op.op(), str(key), flagsOf(depth),
                                   found.get(), error);
  });
  BERTH_RETURN_IF_ERROR(found.taking().judge(name(), called));
  return std::move(found.findings());
}

absl::Status Snapshotter::dropLayer(const Operation& op, const Layer& layer) {
  BERTH_RETURN_IF_ERROR(canVerify());
  const berth_layer abi = abiLayer(layer);
  return instance_.call(op, layer.chainId, [&](berth_error* error) {
    return verify_.layer_drop(instance_.handle(), op.op(), &abi, error);
  });
}

absl::StatusOr<std::vector<Finding>> Snapshotter::setAside(const Operation& op) {
  BERTH_RETURN_IF_ERROR(canVerify());
  FindingCollector found;
  const absl::Status called = instance_.call(op, {}, [&](berth_error* error) {
    return verify_.set_aside(instance_.handle(), op.op(), found.get(), error);
  });
  BERTH_RETURN_IF_ERROR(found.taking().judge(name(), called));
  return std::move(found.findings());
}

absl::StatusOr<std::vector<std::string>> Snapshotter::list(const Operation& op) {
  NameCollector names;
  const absl::Status called = instance_.call(op, {}, [&](berth_error* error) {
    return table_.snapshot_list(instance_.handle(), op.op(), names.get(), error);
  });
  BERTH_RETURN_IF_ERROR(names.taking().judge(name(), called));
  return std::move(names.names());
}

absl::StatusOr<Snapshotter::Filesystem> Snapshotter::filesystem(const Operation& op) {
  TextSink path;
  berth_usage usage = emptyUsage();
  BERTH_RETURN_IF_ERROR(instance_.call(op, {}, [&](berth_error* error) {
    return table_.filesystem(instance_.handle(), op.op(), path.get(), &usage, error);
  }));
  return Filesystem{support::validUtf8(path.text()), fromAbi(usage)};
}

}  // namespace berth::plugins
