// Structs as a later minor version of the ABI would have them.
#pragma once

#include <cstring>
#include <vector>

namespace berth::check {

// A struct with members at its end that today's plugins do not know, filled with what makes no
// sense to them. An array of these is to be walked by berth_at.
template <class T>
struct Wider {
  T known;
  unsigned char unknown[64];

  explicit Wider(const T& given) : known(given) {
    known.size = sizeof *this;
    std::memset(unknown, 0xA5, sizeof unknown);
  }
  // Whether the plugin has left alone what it does not know.
  bool untouched() const {
    for (const unsigned char byte : unknown) {
      if (byte != 0xA5) return false;
    }
    return true;
  }
};

}  // namespace berth::check
