// C++ wrapper of berth/extensions.h: what a plugin may offer beyond its interface. A class offers
// an extension by deriving from it too, and nothing else has to be written:
//
//     class MyRuntime : public berth::Runtime, public berth::Extensions<berth::RuntimePause> {
//       berth::Status pause(const berth::Op& op, std::string_view pod, std::string_view container)
//           override;
//       …
//     };
//
// An extension of a vendor can be a class of the same form: its kId, its kRevision, and table<T>().
#pragma once

#include <string_view>

#include "berth/extensions.h"
#include "berth/plugin.hpp"
#include "berth/runtime.hpp"
#include "berth/snapshotter.hpp"

namespace berth {

template <class... Offered>
class Extensions : public Offered... {
 public:
  // The function table that is asked for, for instances of `T`; null when it is not offered.
  template <class T>
  static const void* findExtension(std::string_view id, uint32_t revision) {
    const void* found = nullptr;
    const auto look = [&]<class One>() {
      if (One::kId == id && One::kRevision == revision) found = One::template table<T>();
    };
    (look.template operator()<Offered>(), ...);
    return found;
  }

 protected:
  ~Extensions() = default;
};

namespace detail {
// The part `Part` of the instance of class `T` that is the first argument of a call.
template <class T, class Part>
Part& part(void* instance) {
  return *static_cast<T*>(static_cast<typename T::Kind*>(instance));
}
}  // namespace detail

// BERTH_EXTENSION_PAUSE.
class RuntimePause {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_PAUSE;
  static constexpr uint32_t kRevision = 1;
  virtual Status pause(const Op& op, std::string_view pod, std::string_view container) = 0;
  virtual Status resume(const Op& op, std::string_view pod, std::string_view container) = 0;

  template <class T>
  static const berth_runtime_pause* table() {
    static constexpr berth_runtime_pause kTable = {
        .size = sizeof(berth_runtime_pause),
        .pause = [](void* instance, const berth_op* op, berth_str pod, berth_str container,
                    berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, RuntimePause>(instance).pause(Op(op), view(pod),
                                                                 view(container));
          });
        },
        .resume = [](void* instance, const berth_op* op, berth_str pod, berth_str container,
                     berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, RuntimePause>(instance).resume(Op(op), view(pod),
                                                                  view(container));
          });
        }};
    return &kTable;
  }

 protected:
  ~RuntimePause() = default;
};

// BERTH_EXTENSION_CHECKPOINT. The class has `static constexpr std::string_view kCheckpointFormat`.
class RuntimeCheckpoint {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_CHECKPOINT;
  static constexpr uint32_t kRevision = 1;
  virtual Status checkCheckpoints(const Op& op) = 0;
  virtual Status checkpoint(const Op& op, const berth_checkpoint_spec& spec) = 0;
  virtual Status restore(const Op& op, const berth_restore_spec& spec,
                         berth_container_status& status) = 0;

  template <class T>
  static const berth_runtime_checkpoint* table() {
    static constexpr berth_runtime_checkpoint kTable = {
        .size = sizeof(berth_runtime_checkpoint),
        .format = {T::kCheckpointFormat.data(), T::kCheckpointFormat.size()},
        .check = [](void* instance, const berth_op* op, berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, RuntimeCheckpoint>(instance).checkCheckpoints(Op(op));
          });
        },
        .checkpoint = [](void* instance, const berth_op* op, const berth_checkpoint_spec* spec,
                         berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, RuntimeCheckpoint>(instance).checkpoint(Op(op),
                                                                           detail::known(spec));
          });
        },
        .restore = [](void* instance, const berth_op* op, const berth_restore_spec* spec,
                      berth_container_status* status, berth_error* error) -> berth_code {
          return detail::RuntimeCalls::withStatus(status, error, [&](berth_container_status& mine) {
            return detail::part<T, RuntimeCheckpoint>(instance).restore(Op(op), detail::known(spec),
                                                                        mine);
          });
        }};
    return &kTable;
  }

 protected:
  ~RuntimeCheckpoint() = default;
};

// BERTH_EXTENSION_POD_RESOURCES.
class RuntimePodResources {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_POD_RESOURCES;
  static constexpr uint32_t kRevision = 1;
  virtual Status updatePodResources(const Op& op, std::string_view pod, std::string_view resources,
                                    std::string_view overhead) = 0;

  template <class T>
  static const berth_runtime_pod_resources* table() {
    static constexpr berth_runtime_pod_resources kTable = {
        .size = sizeof(berth_runtime_pod_resources),
        .update = [](void* instance, const berth_op* op, berth_str pod, berth_str resources,
                     berth_str overhead, berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, RuntimePodResources>(instance).updatePodResources(
                Op(op), view(pod), view(resources), view(overhead));
          });
        }};
    return &kTable;
  }

 protected:
  ~RuntimePodResources() = default;
};

// BERTH_EXTENSION_PORT_FORWARD.
class RuntimePortForward {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_PORT_FORWARD;
  static constexpr uint32_t kRevision = 1;
  virtual Status connectPort(const Op& op, std::string_view pod, uint16_t port,
                             int32_t& socket) = 0;

  template <class T>
  static const berth_runtime_port_forward* table() {
    static constexpr berth_runtime_port_forward kTable = {
        .size = sizeof(berth_runtime_port_forward),
        .connect = [](void* instance, const berth_op* op, berth_str pod, uint16_t port,
                      int32_t* socket, berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, RuntimePortForward>(instance).connectPort(Op(op), view(pod),
                                                                             port, *socket);
          });
        }};
    return &kTable;
  }

 protected:
  ~RuntimePortForward() = default;
};

// BERTH_EXTENSION_REMOTE_LAYERS.
class SnapshotterRemoteLayers {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_REMOTE_LAYERS;
  static constexpr uint32_t kRevision = 1;
  virtual Status layerAdopt(const Op& op, const berth_layer& layer,
                            const berth_remote_layer& remote, berth_usage& usage) = 0;

  template <class T>
  static const berth_snapshotter_remote_layers* table() {
    static constexpr berth_snapshotter_remote_layers kTable = {
        .size = sizeof(berth_snapshotter_remote_layers),
        .layer_adopt = [](void* instance, const berth_op* op, const berth_layer* layer,
                          const berth_remote_layer* remote, berth_usage* usage,
                          berth_error* error) -> berth_code {
          return detail::guard(error, [&]() -> Status {
            berth_usage mine = detail::known(static_cast<const berth_usage*>(nullptr));
            Status result = detail::part<T, SnapshotterRemoteLayers>(instance).layerAdopt(
                Op(op), detail::known(layer), detail::known(remote), mine);
            if (result.ok()) detail::give(usage, mine);
            return result;
          });
        }};
    return &kTable;
  }

 protected:
  ~SnapshotterRemoteLayers() = default;
};

// BERTH_EXTENSION_DIFF.
class SnapshotterDiff {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_DIFF;
  static constexpr uint32_t kRevision = 1;
  virtual Status diff(const Op& op, std::string_view key, uint32_t layers, Sink& tar) = 0;

  template <class T>
  static const berth_snapshotter_diff* table() {
    static constexpr berth_snapshotter_diff kTable = {
        .size = sizeof(berth_snapshotter_diff),
        .diff = [](void* instance, const berth_op* op, berth_str key, uint32_t layers,
                   berth_sink* tar, berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            Sink sink(tar);
            return detail::part<T, SnapshotterDiff>(instance).diff(Op(op), view(key), layers, sink);
          });
        }};
    return &kTable;
  }

 protected:
  ~SnapshotterDiff() = default;
};

// BERTH_EXTENSION_VERIFY.
class SnapshotterVerify {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_VERIFY;
  static constexpr uint32_t kRevision = 1;
  virtual Status layerVerify(const Op& op, const berth_layer& layer, uint32_t flags,
                             Findings& out) = 0;
  virtual Status snapshotVerify(const Op& op, std::string_view key, uint32_t flags,
                                Findings& out) = 0;
  virtual Status layerDrop(const Op& op, const berth_layer& layer) = 0;
  virtual Status setAside(const Op& op, Findings& out) = 0;

  template <class T>
  static const berth_snapshotter_verify* table() {
    static constexpr berth_snapshotter_verify kTable = {
        .size = sizeof(berth_snapshotter_verify),
        .layer_verify = [](void* instance, const berth_op* op, const berth_layer* layer,
                           uint32_t flags, berth_finding_sink* out,
                           berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            Findings findings(out);
            return detail::part<T, SnapshotterVerify>(instance).layerVerify(
                Op(op), detail::known(layer), flags, findings);
          });
        },
        .snapshot_verify = [](void* instance, const berth_op* op, berth_str key, uint32_t flags,
                              berth_finding_sink* out, berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            Findings findings(out);
            return detail::part<T, SnapshotterVerify>(instance).snapshotVerify(Op(op), view(key),
                                                                               flags, findings);
          });
        },
        .layer_drop = [](void* instance, const berth_op* op, const berth_layer* layer,
                         berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, SnapshotterVerify>(instance).layerDrop(Op(op),
                                                                          detail::known(layer));
          });
        },
        .set_aside = [](void* instance, const berth_op* op, berth_finding_sink* out,
                        berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            Findings findings(out);
            return detail::part<T, SnapshotterVerify>(instance).setAside(Op(op), findings);
          });
        }};
    return &kTable;
  }

 protected:
  ~SnapshotterVerify() = default;
};

// BERTH_EXTENSION_QUOTA.
class SnapshotterQuota {
 public:
  static constexpr std::string_view kId = BERTH_EXTENSION_QUOTA;
  static constexpr uint32_t kRevision = 1;
  virtual Status setQuota(const Op& op, std::string_view key, uint64_t bytes, uint64_t inodes) = 0;

  template <class T>
  static const berth_snapshotter_quota* table() {
    static constexpr berth_snapshotter_quota kTable = {
        .size = sizeof(berth_snapshotter_quota),
        .set = [](void* instance, const berth_op* op, berth_str key, uint64_t bytes,
                  uint64_t inodes, berth_error* error) -> berth_code {
          return detail::guard(error, [&] {
            return detail::part<T, SnapshotterQuota>(instance).setQuota(Op(op), view(key), bytes,
                                                                        inodes);
          });
        }};
    return &kTable;
  }

 protected:
  ~SnapshotterQuota() = default;
};

}  // namespace berth
