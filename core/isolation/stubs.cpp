#include "isolation/stubs.hpp"

namespace berth::isolation {

namespace {

constexpr uint64_t kAll = ~uint64_t{0};

template <class Body>
void forEachTable(Body body) {
  [&]<size_t... I>(std::index_sequence<I...>) {
    (body(std::integral_constant<size_t, I>()), ...);
  }
  (std::make_index_sequence<kTableCount>());
}

}  // namespace

const void* interfaceStubs(std::string_view interfaceId) {
  static const auto tables = [] {
    return std::tuple{stubTable<berth_network>(kAll), stubTable<berth_image_source>(kAll),
                      stubTable<berth_snapshotter>(kAll), stubTable<berth_runtime>(kAll)};
  }();
  if (interfaceId == BERTH_NETWORK_INTERFACE) return &std::get<0>(tables);
  if (interfaceId == BERTH_IMAGE_SOURCE_INTERFACE) return &std::get<1>(tables);
  if (interfaceId == BERTH_SNAPSHOTTER_INTERFACE) return &std::get<2>(tables);
  if (interfaceId == BERTH_RUNTIME_INTERFACE) return &std::get<3>(tables);
  return nullptr;
}

std::shared_ptr<const void> decodeExtension(size_t table, Decoder& in) {
  std::shared_ptr<const void> made;
  forEachTable([&](auto index) {
    constexpr size_t I = index;
    if constexpr (I >= kFirstExtension) {
      if (I != table) return;
      using T = std::tuple_element_t<I, Tables>;
      T stubs = stubTable<T>(in.raw<uint64_t>());
      std::apply([&](auto... members) { (decodeMember(in, stubs, members), ...); },
                 Functions<T>::data());
      made = std::make_shared<const T>(stubs);
    }
  });
  return made;
}

}  // namespace berth::isolation
