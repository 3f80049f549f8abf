// The function tables by which a host calls a plugin in a process of its own: those of the ABI, for
// instances that are RemoteInstances.
#pragma once

#include <memory>

#include "isolation/remote_instance.hpp"

namespace berth::isolation {

template <auto Member, class M = decltype(Member)>
struct Stub;
template <auto Member, class R, class T, class... A>
struct Stub<Member, R (*T::*)(void*, A...)> {
  static R call(void* instance, A... arguments) {
    return static_cast<RemoteInstance*>(instance)->call<Member>({instance, arguments...});
  }
};

// The network's range is what it must hear again after its process has ended.
template <>
struct Stub<&berth_network::set_pod_cidr> {
  static berth_code call(void* instance, const berth_op* op, berth_str cidr, berth_error* error) {
    auto& remote = *static_cast<RemoteInstance*>(instance);
    const berth_code code = remote.call<&berth_network::set_pod_cidr>({instance, op, cidr, error});
    if (code == BERTH_OK) remote.setPodCidr(view(cidr));
    return code;
  }
};

// What a runtime's new process is to recover.
template <>
struct Stub<&berth_runtime::pod_create> {
  static berth_code call(void* instance, const berth_op* op, const berth_pod_spec* given,
                         berth_pod_builder* out, berth_error* error) {
    auto& remote = *static_cast<RemoteInstance*>(instance);
    const berth_pod_spec spec = detail::known(given);
    StateKeeper keeper(out);
    const berth_code code =
        remote.call<&berth_runtime::pod_create>({instance, op, given, keeper.get(), error});
    if (code == BERTH_OK)
      remote.pods().keep(view(spec.id), {copy(spec.directory), std::move(keeper.state())});
    return code;
  }
};
template <>
struct Stub<&berth_runtime::pod_recover> {
  static berth_code call(void* instance, const berth_op* op, berth_str pod, berth_str directory,
                         berth_bytes state, berth_container_status_sink* out, berth_error* error) {
    auto& remote = *static_cast<RemoteInstance*>(instance);
    const berth_code code =
        remote.call<&berth_runtime::pod_recover>({instance, op, pod, directory, state, out, error});
    if (code == BERTH_OK)
      remote.pods().keep(view(pod), {copy(directory), std::string(view(state))});
    return code;
  }
};
template <>
struct Stub<&berth_runtime::pod_remove> {
  static berth_code call(void* instance, const berth_op* op, berth_str pod, berth_error* error) {
    auto& remote = *static_cast<RemoteInstance*>(instance);
    const berth_code code = remote.call<&berth_runtime::pod_remove>({instance, op, pod, error});
    if (code == BERTH_OK) remote.pods().forget(view(pod));
    return code;
  }
};

// A table with those functions of which `present` has the bit of their place.
template <Table T>
T stubTable(uint64_t present) {
  T table{};
  table.size = sizeof table;
  const auto fill = [&]<auto Member>(Function<Member>) {
    if ((present >> kPlace<Member> & 1) != 0) table.*Member = &Stub<Member>::call;
  };
  std::apply([&](auto... functions) { (fill(functions), ...); }, Functions<T>::list());
  return table;
}

// The functions of an interface, all of them; null for an id that is none.
const void* interfaceStubs(std::string_view interfaceId);

// What encodeTable() wrote, of the table with this place in Tables.
std::shared_ptr<const void> decodeExtension(size_t table, Decoder& in);

}  // namespace berth::isolation
