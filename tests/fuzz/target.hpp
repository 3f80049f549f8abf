// What a fuzzer and the replay of seeds have in common: something of Berth's that reads what others
// write, and examples of what it may get.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace berth::fuzz {

struct Target {
  // Returns whatever the input is, or ends the process: with a sanitizer's report, or demand()'s.
  void (*run)(std::string_view input);
  // Well-formed inputs to start from.
  std::vector<std::string> (*seeds)();
};

extern const Target kSpdy;
extern const Target kSpdyHeaders;
extern const Target kUpgrade;
extern const Target kWebSocket;
extern const Target kReference;
extern const Target kManifest;
extern const Target kDecompress;
extern const Target kTar;
extern const Target kCni;
extern const Target kRegistry;
extern const Target kMonitor;
extern const Target kTtrpc;
extern const Target kShim;
extern const Target kSignatures;
extern const Target kIsolation;

// What holds for every input. In release builds too, unlike assert().
inline void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "this does not hold: %s\n", what);
  std::abort();
}

// Takes an input apart: numbers from its front, then the rest. Past the end all numbers are 0.
class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  size_t number() {
    const size_t high = byte();
    return high << 8 | byte();
  }
  // At most `size` bytes.
  std::string_view bytes(size_t size) {
    const std::string_view part = rest_.substr(0, size);
    rest_.remove_prefix(part.size());
    return part;
  }
  std::string_view rest() { return bytes(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace berth::fuzz
