// Structs of the ABI as bytes: what is written is read as the same, and what lies is refused.
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.hpp"

namespace berth::isolation {
namespace {

using testing::forEachStruct;
using testing::Samples;

std::vector<support::Fd> duplicates(const Encoder& from) {
  std::vector<support::Fd> result;
  for (const int fd : from.descriptors()) result.emplace_back(::dup(fd));
  return result;
}

template <class T>
void expectSame(const T& left, const T& right, const std::string& where);

template <class S, class M>
void compare(const S& left, const S& right, Value<S, M> member, const std::string& where) {
  expectSame(left.*member.member, right.*member.member, where);
}
template <class S, class E>
void compare(const S& left, const S& right, Array<S, E> member, const std::string& where) {
  ASSERT_EQ(left.*member.count, right.*member.count) << where;
  for (size_t i = 0; i < left.*member.count; ++i)
    expectSame((left.*member.items)[i], (right.*member.items)[i], where + "[]");
}
template <class S, class E>
void compare(const S& left, const S& right, Pointer<S, E> member, const std::string& where) {
  ASSERT_NE(right.*member.item, nullptr) << where;
  expectSame(*(left.*member.item), *(right.*member.item), where + "->");
}
template <class S>
void compare(const S& left, const S& right, Descriptor<S> member, const std::string& where) {
  EXPECT_EQ(left.*member.fd < 0, right.*member.fd < 0) << where;
}

template <class T>
void expectSame(const T& left, const T& right, const std::string& where) {
  if constexpr (Described<T>) {
    if constexpr (kSized<T>) {
      EXPECT_EQ(right.size, sizeof right) << where;
    }
    size_t place = 0;
    std::apply(
        [&](auto... members) {
          (compare(left, right, members, where + "." + std::to_string(place++)), ...);
        },
        Members<T>::list());
  } else if constexpr (std::is_same_v<T, berth_str> || std::is_same_v<T, berth_bytes>) {
    EXPECT_EQ(view(left), view(right)) << where;
  } else if constexpr (std::is_same_v<T, berth_psi> || std::is_same_v<T, berth_id_mapping>) {
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): the same bytes are what is wanted.
    EXPECT_EQ(std::memcmp(&left, &right, sizeof left), 0) << where;
  } else {
    EXPECT_EQ(left, right) << where;
  }
}

TEST(Codec, EveryStructComesOverWhole) {
  forEachStruct([]<class S>(std::type_identity<S>) {
    Samples samples;
    const S sample = samples.make<S>();
    Encoder out;
    encode(out, sample);
    std::vector<support::Fd> descriptors = duplicates(out);
    Decoder in(out.bytes(), descriptors);
    S again;
    decode(in, again);
    EXPECT_TRUE(in.finished()) << typeid(S).name();
    expectSame(sample, again, typeid(S).name());
  });
}

TEST(Codec, NothingGivenStaysNothing) {
  forEachStruct([]<class S>(std::type_identity<S>) {
    S nothing{};
    if constexpr (kSized<S>) nothing.size = sizeof nothing;
    Encoder out;
    encode(out, nothing);
    std::vector<support::Fd> descriptors = duplicates(out);
    Decoder in(out.bytes(), descriptors);
    S again;
    decode(in, again);
    EXPECT_TRUE(in.finished()) << typeid(S).name();
  });
}

TEST(Codec, AFrameThatIsCutOffIsRefused) {
  forEachStruct([]<class S>(std::type_identity<S>) {
    Samples samples;
    Encoder out;
    encode(out, samples.make<S>());
    for (size_t size = 0; size < out.bytes().size(); ++size) {
      std::vector<support::Fd> descriptors = duplicates(out);
      Decoder in(out.bytes().substr(0, size), descriptors);
      S again;
      decode(in, again);
      EXPECT_FALSE(in.finished()) << typeid(S).name() << " of " << size << " bytes";
    }
  });
}

TEST(Codec, BytesAtTheEndAreRefused) {
  Samples samples;
  Encoder out;
  encode(out, samples.make<berth_layer>());
  out.raw(uint8_t{0});
  Decoder in(out.bytes());
  berth_layer layer;
  decode(in, layer);
  EXPECT_TRUE(in.ok());
  EXPECT_FALSE(in.finished());
}

// A struct of a plugin of another age is smaller or larger than this build's.
TEST(Codec, AnOlderStructIsFilledUpWithZeros) {
  Samples samples;
  berth_image_request request = samples.make<berth_image_request>();
  request.size = offsetof(berth_image_request, credentials);
  Encoder out;
  encode(out, request);
  Decoder in(out.bytes());
  berth_image_request again;
  decode(in, again);
  EXPECT_TRUE(in.finished());
  EXPECT_EQ(view(again.reference), view(request.reference));
  EXPECT_EQ(again.credentials, nullptr);
}

TEST(Codec, ArraysOfALaterAgeAreStridedByTheirOwnSize) {
  struct Later {
    berth_layer now;
    uint64_t added;
  } layers[2] = {};
  const std::string names[] = {"sha256:1", "sha256:2"};
  for (size_t i = 0; i < 2; ++i) {
    layers[i].now.size = sizeof(Later);
    layers[i].now.chain_id = str(names[i]);
  }
  Encoder out;
  encodeArray(out, &layers[0].now, 2);
  Decoder in(out.bytes());
  const berth_layer* items = nullptr;
  size_t count = 0;
  decodeArray(in, items, count);
  ASSERT_TRUE(in.finished());
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(view(items[1].chain_id), "sha256:2");
  EXPECT_EQ(items[1].size, sizeof(berth_layer));
}

TEST(Codec, ACountWithoutElementsAsksForNoMemory) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{1} << 32, ~uint64_t{0}}) {
    Encoder out;
    out.raw(count);
    Decoder in(out.bytes());
    const berth_pair* items = nullptr;
    size_t got = 7;
    decodeArray(in, items, got);
    EXPECT_FALSE(in.finished());
    EXPECT_EQ(got, 0u);
    EXPECT_EQ(items, nullptr);
  }
}

TEST(Codec, ATextLongerThanItsFrameIsRefused) {
  Encoder out;
  out.raw(~uint64_t{0});
  out.append("short");
  Decoder in(out.bytes());
  EXPECT_EQ(in.text(), "");
  EXPECT_FALSE(in.ok());
}

TEST(Codec, ADescriptorThatDidNotComeIsRefused) {
  Encoder out;
  out.descriptor(0);
  Decoder in(out.bytes());
  EXPECT_EQ(in.descriptor(), -1);
  EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace berth::isolation
