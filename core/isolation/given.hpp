// Texts and arrays that the other side of the ABI hands over, before they are read.
#pragma once

#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "berth/support/status.hpp"

namespace berth::isolation {

// More than any array of anybody has.
inline constexpr size_t kMostArrayBytes = 64u << 20;

// More than any text or piece of anybody has.
inline constexpr size_t kMostTextBytes = 64u << 20;

// Throws std::invalid_argument for what cannot be a text of so many bytes.
inline void demandText(size_t bytes, size_t most = kMostTextBytes) {
  if (bytes > most) throw std::invalid_argument(support::strCat("a text of ", bytes, " bytes"));
}

// What the log says of a call of the host whose arguments cannot be taken.
inline std::string notHeard(std::string_view function, std::string_view reason) {
  return support::strCat("the plugin calls ", function, " with ", reason, ": it is not heard");
}

// Throws std::invalid_argument where there is no room for a piece.
inline void demandPiece(const void* piece) {
  if (piece == nullptr) throw std::invalid_argument("a piece that is NULL");
}

// Throws std::invalid_argument for what cannot be an array of so many elements.
inline void demandArray(const void* items, size_t count, size_t elementBytes) {
  if (count == 0) return;
  if (items == nullptr) throw std::invalid_argument("an array that is NULL");
  if (elementBytes < sizeof(size_t) || count > kMostArrayBytes / elementBytes)
    throw std::invalid_argument(
        support::strCat("an array of ", count, " elements of ", elementBytes, " bytes"));
}

// The same of structs that begin with their size.
inline void demandSizedArray(const void* items, size_t count) {
  size_t elementBytes = 0;
  if (items != nullptr && count > 0) std::memcpy(&elementBytes, items, sizeof elementBytes);
  demandArray(items, count, elementBytes);
}

}  // namespace berth::isolation
