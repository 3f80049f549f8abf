// The ABI's function tables, and the structs by which a call hands things back: builders, sinks and
// streams. As in members.hpp the lists are held against the structs.
#pragma once

#include <cstdint>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

#include "isolation/members.hpp"

namespace berth::isolation {

template <class T>
struct Functions;

// Made by the caller of a call; the first argument of its functions is itself, and `host` is the
// caller's own.
template <class T>
concept Receiver = requires {
  Functions<T>::kReceiver;
  requires Functions<T>::kReceiver;
};
// A function table of a plugin.
template <class T>
concept Table = requires {
  Functions<T>::kReceiver;
  requires !Functions<T>::kReceiver;
};

// A function by the struct and the member.
template <auto Member>
struct Function {};
template <auto... Members>
constexpr auto functions() {
  return std::tuple<Function<Members>...>{};
}

#define BERTH_FUNCTIONS(Struct, Kind, Others, List, ...)                                  \
  template <>                                                                             \
  struct Functions<Struct> {                                                              \
    using S = Struct;                                                                     \
    static constexpr bool kReceiver = Kind;                                               \
    static constexpr auto list() { return functions<BERTH_UNPACK List>(); }               \
    static constexpr auto data() { return joined(__VA_ARGS__); }                          \
  };                                                                                      \
  static_assert(std::tuple_size_v<decltype(Functions<Struct>::list())> +                  \
                        CountOf<decltype(Functions<Struct>::data())>::value + (Others) == \
                    boost::pfr::tuple_size_v<Struct>,                                     \
                "a member of " #Struct " is missing")
#define BERTH_UNPACK(...) __VA_ARGS__
#define BERTH_RECEIVER(Struct, List, ...) BERTH_FUNCTIONS(Struct, true, 2, List, __VA_ARGS__)
#define BERTH_TABLE(Struct, List, ...) BERTH_FUNCTIONS(Struct, false, 1, List, __VA_ARGS__)

BERTH_RECEIVER(berth_sink, (&S::write), std::tuple{});
BERTH_RECEIVER(berth_stream, (&S::next), std::tuple{});
BERTH_RECEIVER(berth_finding_sink, (&S::add), std::tuple{});
BERTH_RECEIVER(berth_network_builder, (&S::add_address, &S::set_result, &S::set_state),
               std::tuple{});
BERTH_RECEIVER(berth_resolve_builder, (&S::set), std::tuple{});
BERTH_RECEIVER(berth_image_origin_builder, (&S::set), std::tuple{});
BERTH_RECEIVER(berth_image_signature_builder, (&S::add), std::tuple{});
BERTH_RECEIVER(berth_name_sink, (&S::add), std::tuple{});
BERTH_RECEIVER(berth_pod_builder, (&S::set_namespace, &S::set_state), std::tuple{});
BERTH_RECEIVER(berth_container_status_sink, (&S::add), std::tuple{});
BERTH_RECEIVER(berth_stats_sink, (&S::add), values(&S::wanted, &S::reserved));

BERTH_TABLE(berth_network,
            (&S::attach, &S::detach, &S::check, &S::status, &S::gc, &S::set_pod_cidr),
            std::tuple{});
BERTH_TABLE(berth_image_source, (&S::serves, &S::resolve, &S::fetch), std::tuple{});
BERTH_TABLE(berth_snapshotter,
            (&S::flags, &S::layer_apply, &S::layer_usage, &S::layer_remove, &S::layer_list,
             &S::snapshot_prepare, &S::snapshot_mount, &S::snapshot_unmount, &S::snapshot_usage,
             &S::snapshot_remove, &S::snapshot_list, &S::filesystem),
            std::tuple{});
BERTH_TABLE(berth_runtime,
            (&S::features, &S::pod_create, &S::pod_start, &S::pod_stop, &S::pod_remove,
             &S::pod_recover, &S::container_create, &S::container_start, &S::container_kill,
             &S::container_wait, &S::container_remove, &S::container_update,
             &S::container_reopen_log, &S::container_stats, &S::pod_stats, &S::exec_start,
             &S::exec_wait, &S::resize, &S::attach),
            std::tuple{});

BERTH_TABLE(berth_image_signatures, (&S::origin, &S::signatures), std::tuple{});
BERTH_TABLE(berth_snapshotter_diff, (&S::diff), std::tuple{});
BERTH_TABLE(berth_snapshotter_verify,
            (&S::layer_verify, &S::snapshot_verify, &S::layer_drop, &S::set_aside), std::tuple{});
BERTH_TABLE(berth_snapshotter_quota, (&S::set), std::tuple{});
BERTH_TABLE(berth_snapshotter_remote_layers, (&S::layer_adopt), std::tuple{});
BERTH_TABLE(berth_runtime_pause, (&S::pause, &S::resume), std::tuple{});
BERTH_TABLE(berth_runtime_checkpoint, (&S::check, &S::checkpoint, &S::restore), values(&S::format));
BERTH_TABLE(berth_runtime_pod_resources, (&S::update), std::tuple{});
BERTH_TABLE(berth_runtime_port_forward, (&S::connect), std::tuple{});

// Of the description itself: what is called with an instance. The rest of its members go over when
// the plugin is loaded.
template <>
struct Functions<berth_plugin> {
  using S = berth_plugin;
  static constexpr bool kReceiver = false;
  static constexpr auto list() {
    return functions<&S::configure, &S::start, &S::stop, &S::destroy, &S::examine>();
  }
  static constexpr auto data() { return std::tuple{}; }
};
static_assert(boost::pfr::tuple_size_v<berth_plugin> == 18,
              "what is new in berth_plugin must be carried too: see Description");

#undef BERTH_TABLE
#undef BERTH_RECEIVER
#undef BERTH_UNPACK
#undef BERTH_FUNCTIONS

// All tables; a call is named by its table's place here and its own place in the table. Extensions
// follow the interfaces.
using Tables = std::tuple<berth_plugin, berth_network, berth_image_source, berth_snapshotter,
                          berth_runtime, berth_image_signatures, berth_snapshotter_diff,
                          berth_snapshotter_verify, berth_snapshotter_quota, berth_runtime_pause,
                          berth_runtime_checkpoint, berth_runtime_pod_resources,
                          berth_runtime_port_forward, berth_snapshotter_remote_layers>;
inline constexpr size_t kTableCount = std::tuple_size_v<Tables>;
// The extensions that are carried over, of revision 1, in the order of the tables: all that the SDK
// defines. A vendor's own is a table of what only the vendor knows.
inline constexpr size_t kFirstExtension = 5;
inline constexpr const char* kExtensions[] = {BERTH_EXTENSION_IMAGE_SIGNATURES,
                                              BERTH_EXTENSION_DIFF,
                                              BERTH_EXTENSION_VERIFY,
                                              BERTH_EXTENSION_QUOTA,
                                              BERTH_EXTENSION_PAUSE,
                                              BERTH_EXTENSION_CHECKPOINT,
                                              BERTH_EXTENSION_POD_RESOURCES,
                                              BERTH_EXTENSION_PORT_FORWARD,
                                              BERTH_EXTENSION_REMOTE_LAYERS};
// In place of the place of an extension: whether there is another one.
inline constexpr uint16_t kOtherExtension = UINT16_MAX;
static_assert(kFirstExtension + std::size(kExtensions) == kTableCount);

// The interface whose table has this place; empty for the others.
constexpr std::string_view interfaceOf(size_t table) {
  constexpr const char* kInterfaces[] = {"", BERTH_NETWORK_INTERFACE, BERTH_IMAGE_SOURCE_INTERFACE,
                                         BERTH_SNAPSHOTTER_INTERFACE, BERTH_RUNTIME_INTERFACE};
  return table < std::size(kInterfaces) ? kInterfaces[table] : "";
}

template <class T, size_t I = 0>
constexpr size_t tableIndex() {
  if constexpr (std::is_same_v<std::tuple_element_t<I, Tables>, T>) {
    return I;
  } else {
    return tableIndex<T, I + 1>();
  }
}

template <class M>
struct Signature;
template <class R, class T, class... A>
struct Signature<R (*T::*)(A...)> {
  using Result = R;
  using Struct = T;
  using Arguments = std::tuple<A...>;
};
template <auto Member>
using StructOf = typename Signature<decltype(Member)>::Struct;
template <auto Member>
using ArgumentsOf = typename Signature<decltype(Member)>::Arguments;
template <auto Member>
using ResultOf = typename Signature<decltype(Member)>::Result;

// The place of a function in its table.
template <auto Member, class... F>
constexpr size_t placeIn(std::tuple<F...> /*list*/) {
  constexpr bool same[] = {std::is_same_v<F, Function<Member>>...};
  size_t place = 0;
  while (!same[place]) ++place;
  return place;
}
template <auto Member>
inline constexpr size_t kPlace = placeIn<Member>(Functions<StructOf<Member>>::list());

// The number by which a call goes over.
template <auto Member>
inline constexpr uint16_t kNumber = static_cast<uint16_t>(tableIndex<StructOf<Member>>() << 8 |
                                                          kPlace<Member>);

// What the arguments of a function are; read off their types.
enum class Role {
  kInstance,      // of the plugin
  kReceiver,      // a builder, sink or stream; also the one whose function this is
  kOp,            // the operation
  kError,         // where a failure is left
  kValue,         // a number, text or bytes
  kStruct,        // to be read
  kLender,        // likewise, with a function by which it lends credentials
  kArray,         // its first element; the next argument is …
  kCount,         // … how many there are
  kResult,        // a struct to be filled
  kNumber,        // a number to be filled
  kPiece,         // bytes to be filled, which stay the callee's
  kDescriptor,    // an open file, or -1
  kNewDescriptor  // likewise, to be filled; the caller's own then
};

// Numbers that are descriptors, which their types do not tell.
template <auto Member>
inline constexpr size_t kFirstDescriptor = SIZE_MAX;
template <>
inline constexpr size_t kFirstDescriptor<&berth_runtime::attach> = 4;
template <auto Member>
inline constexpr bool kGivesDescriptor = false;
template <>
inline constexpr bool kGivesDescriptor<&berth_runtime_port_forward::connect> = true;

template <class P>
inline constexpr bool kElements =
    std::is_same_v<P, const void*> || std::is_same_v<P, const berth_str*> ||
    std::is_same_v<P, const berth_pair*> || std::is_same_v<P, const berth_attachment*>;

template <auto Member, size_t I>
constexpr Role roleOf() {
  using P = std::tuple_element_t<I, ArgumentsOf<Member>>;
  using T = std::remove_const_t<std::remove_pointer_t<P>>;
  if constexpr (I > 0) {
    if constexpr (kElements<std::tuple_element_t<I - 1, ArgumentsOf<Member>>>) return Role::kCount;
  }
  if constexpr (!std::is_pointer_v<P>) {
    constexpr bool descriptor = I >= kFirstDescriptor<Member> && std::is_same_v<P, int32_t>;
    return descriptor ? Role::kDescriptor : Role::kValue;
  } else if constexpr (std::is_same_v<P, void*>) {
    return Role::kInstance;
  } else if constexpr (std::is_same_v<P, const berth_op*>) {
    return Role::kOp;
  } else if constexpr (std::is_same_v<P, berth_error*>) {
    return Role::kError;
  } else if constexpr (kElements<P>) {
    return Role::kArray;
  } else if constexpr (Receiver<T>) {
    return Role::kReceiver;
  } else if constexpr (std::is_same_v<P, int32_t*>) {
    return kGivesDescriptor<Member> ? Role::kNewDescriptor : Role::kNumber;
  } else if constexpr (std::is_same_v<P, berth_bytes*>) {
    return Role::kPiece;
  } else {
    static_assert(Described<T>, "an argument whose struct is not described");
    if (std::is_same_v<P, const berth_remote_layer*>) return Role::kLender;
    return std::is_const_v<std::remove_pointer_t<P>> ? Role::kStruct : Role::kResult;
  }
}

template <auto Member>
inline constexpr auto kIndexes = std::make_index_sequence<std::tuple_size_v<ArgumentsOf<Member>>>();

// body(std::integral_constant<size_t, I>) for each argument.
template <auto Member, class Body>
constexpr void forEachArgument(Body body) {
  [&]<size_t... I>(std::index_sequence<I...>) {
    (body(std::integral_constant<size_t, I>()), ...);
  }
  (kIndexes<Member>);
}

}  // namespace berth::isolation
