// Compares a layer's directory with the list of what was unpacked into it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "berth/plugin.hpp"

namespace berth::overlay {

// Names the first differences and counts the others.
class Differences {
 public:
  explicit Differences(Findings& out) : out_(out) {}
  void add(std::string_view path, std::string_view detail);
  // Tells of those that were not named. Once, at the end.
  void close();
  uint64_t count() const { return count_; }

 private:
  static constexpr uint64_t kNamed = 20;
  Findings& out_;
  uint64_t count_ = 0;
};

enum class Depth { kQuick, kThorough };

// `root` is the layer's directory, open; `list` is what readContentList() gave. What is there and
// is not in the list is a difference too. Reads past the page cache: it is the disk that is asked.
// An error says nothing of the layer. Blocks; any thread.
absl::Status compareContent(int root, std::string_view list, Depth depth, const Op& op,
                            Differences& differences);

}  // namespace berth::overlay
