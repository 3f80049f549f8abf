// A struct of each kind with every member set, made from its description.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "isolation/codec.hpp"

namespace berth::isolation::testing {

// Owns what its samples point to. No two values of it are alike.
class Samples {
 public:
  template <Described S>
  S make() {
    S sample{};
    if constexpr (kSized<S>) sample.size = sizeof sample;
    std::apply([&](auto... members) { (set(sample, members), ...); }, Members<S>::list());
    return sample;
  }

 private:
  static constexpr size_t kCount = 3;  // of elements

  template <class T>
  T value() {
    if constexpr (Described<T>) {
      return make<T>();
    } else if constexpr (std::is_same_v<T, berth_str>) {
      return str(text());
    } else if constexpr (std::is_same_v<T, berth_bytes>) {
      return bytes(text());
    } else if constexpr (std::is_same_v<T, berth_id_mapping>) {
      return {value<uint32_t>(), value<uint32_t>(), value<uint32_t>()};
    } else if constexpr (std::is_same_v<T, berth_psi>) {
      return {value<double>(), value<double>(), value<double>(),   value<double>(),
              value<double>(), value<double>(), value<uint64_t>(), value<uint64_t>()};
    } else {
      return static_cast<T>(++last_);
    }
  }
  const std::string& text() {
    return texts_.emplace_back("text " + std::to_string(++last_) + std::string("\0\xFF", 2));
  }
  template <class S, class M>
  void set(S& sample, Value<S, M> member) {
    sample.*member.member = value<M>();
  }
  template <class S, class E>
  void set(S& sample, Array<S, E> member) {
    auto items = std::make_shared<std::vector<E>>();
    for (size_t i = 0; i < kCount; ++i) items->push_back(value<E>());
    sample.*member.items = items->data();
    sample.*member.count = kCount;
    kept_.push_back(std::move(items));
  }
  template <class S, class E>
  void set(S& sample, Pointer<S, E> member) {
    auto item = std::make_shared<E>(value<E>());
    sample.*member.item = item.get();
    kept_.push_back(std::move(item));
  }
  template <class S>
  void set(S& sample, Descriptor<S> member) {
    // Standard input is open in every test; another one is not given.
    sample.*member.fd = descriptors_++ % 3 == 1 ? -1 : 0;
  }

  int last_ = 0;
  int descriptors_ = 0;
  std::deque<std::string> texts_;
  std::vector<std::shared_ptr<const void>> kept_;
};

// body(std::type_identity<S>) for every struct that is described.
template <class Body>
void forEachStruct(Body body) {
  const auto each = [&]<class... S>(std::tuple<S...>*) { (body(std::type_identity<S>()), ...); };
  each(static_cast<
       std::tuple<berth_pair, berth_port_mapping, berth_descriptor, berth_credentials, berth_event,
                  berth_finding, berth_network_request, berth_attachment, berth_image_request,
                  berth_image_signature, berth_layer, berth_usage, berth_snapshot_spec,
                  berth_pod_spec, berth_container_spec, berth_container_status,
                  berth_interface_stats, berth_disk_stats, berth_hugepage_stats, berth_stats,
                  berth_exec_spec, berth_checkpoint_spec, berth_restore_spec, berth_remote_layer>*>(
      nullptr));
}

}  // namespace berth::isolation::testing
