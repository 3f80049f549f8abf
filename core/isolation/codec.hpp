// Values and structs of the ABI to bytes and back, by their descriptions.
#pragma once

#include <tuple>

#include "berth/plugin.hpp"
#include "isolation/given.hpp"
#include "isolation/members.hpp"
#include "isolation/wire.hpp"

namespace berth::isolation {

// Numbers, and small structs of nothing else, as they are.
template <class T>
requires std::is_trivially_copyable_v<T> &&
    (!Described<T>)void encode(Encoder& out, const T& value) {
  static_assert(Number<T> || std::is_same_v<T, berth_psi> || std::is_same_v<T, berth_id_mapping>,
                "a type that cannot go over as it is");
  out.raw(value);
}
inline void encode(Encoder& out, berth_str value) {
  out.text(view(value));
}
inline void encode(Encoder& out, berth_bytes value) {
  out.text(view(value));
}
template <Described S>
void encode(Encoder& out, const S& given);

template <class T>
requires std::is_trivially_copyable_v<T> &&(!Described<T>)void decode(Decoder& in, T& value) {
  static_assert(Number<T> || std::is_same_v<T, berth_psi> || std::is_same_v<T, berth_id_mapping>,
                "a type that cannot come over as it is");
  value = in.raw<T>();
}
inline void decode(Decoder& in, berth_str& value) {
  const std::string_view text = in.text();
  value = text.empty() ? berth_str{nullptr, 0} : str(text);
}
inline void decode(Decoder& in, berth_bytes& value) {
  const std::string_view text = in.text();
  value = text.empty() ? berth_bytes{nullptr, 0} : bytes(text);
}
template <Described S>
void decode(Decoder& in, S& value);

// Element `index` as whoever made the array laid it out.
template <class E>
const E& elementOf(const E* items, size_t index) {
  if constexpr (Described<E>) {
    if constexpr (kSized<E>) return *static_cast<const E*>(berth_at(items, index));
  }
  return items[index];
}

// Throws std::invalid_argument for what cannot be an array.
template <class E>
void encodeArray(Encoder& out, const E* items, size_t count) {
  if constexpr (Described<E>) {
    if constexpr (kSized<E>) demandSizedArray(items, count);
  } else {
    demandArray(items, count, sizeof(E));
  }
  out.raw(static_cast<uint64_t>(count));
  for (size_t i = 0; i < count; ++i) encode(out, elementOf(items, i));
}
template <class E>
void decodeArray(Decoder& in, const E*& items, size_t& count) {
  const auto wanted = in.raw<uint64_t>();
  items = nullptr;
  count = 0;
  if (!in.ok() || wanted == 0) return;
  E* const made = in.array<E>(wanted);
  if (made == nullptr) return;
  for (size_t i = 0; i < wanted; ++i) decode(in, made[i]);
  items = made;
  count = static_cast<size_t>(wanted);
}

template <class E>
void encodePointer(Encoder& out, const E* item) {
  out.raw(static_cast<uint8_t>(item != nullptr));
  if (item != nullptr) encode(out, *item);
}
template <class E>
void decodePointer(Decoder& in, const E*& item) {
  item = nullptr;
  if (in.raw<uint8_t>() == 0) return;
  E* const made = in.one<E>();
  decode(in, *made);
  item = made;
}

template <class S, class M>
void encodeMember(Encoder& out, const S& from, Value<S, M> value) {
  encode(out, from.*value.member);
}
template <class S, class E>
void encodeMember(Encoder& out, const S& from, Array<S, E> array) {
  encodeArray(out, from.*array.items, from.*array.count);
}
template <class S, class E>
void encodeMember(Encoder& out, const S& from, Pointer<S, E> pointer) {
  encodePointer(out, from.*pointer.item);
}
template <class S>
void encodeMember(Encoder& out, const S& from, Descriptor<S> descriptor) {
  out.descriptor(from.*descriptor.fd);
}

template <class S, class M>
void decodeMember(Decoder& in, S& to, Value<S, M> value) {
  decode(in, to.*value.member);
}
template <class S, class E>
void decodeMember(Decoder& in, S& to, Array<S, E> array) {
  decodeArray(in, to.*array.items, to.*array.count);
}
template <class S, class E>
void decodeMember(Decoder& in, S& to, Pointer<S, E> pointer) {
  decodePointer(in, to.*pointer.item);
}
template <class S>
void decodeMember(Decoder& in, S& to, Descriptor<S> descriptor) {
  to.*descriptor.fd = in.descriptor();
}

template <Described S>
void encode(Encoder& out, const S& given) {
  const auto all = [&out](const S& from) {
    std::apply([&](auto... members) { (encodeMember(out, from, members), ...); },
               Members<S>::list());
  };
  // Of a plugin of another age it may be smaller or larger.
  if constexpr (kSized<S>) {
    all(detail::known(&given));
  } else {
    all(given);
  }
}

template <Described S>
void decode(Decoder& in, S& value) {
  std::memset(static_cast<void*>(&value), 0, sizeof value);
  if constexpr (kSized<S>) value.size = sizeof value;
  std::apply([&](auto... members) { (decodeMember(in, value, members), ...); }, Members<S>::list());
}

}  // namespace berth::isolation
