// Versions of the CNI specification.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::cni {

struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): sees the 0 with which the compiler compares.
  auto operator<=>(const Version&) const = default;
  std::string text() const;
};

// What changed in these versions decides which verbs a network gets.
inline constexpr Version kOldest{0, 1, 0};
inline constexpr Version kWithPrevResultOnDel{0, 4, 0};  // and CHECK
inline constexpr Version kWithGc{1, 1, 0};               // and STATUS
inline constexpr Version kNewest{1, 1, 0};

// "1.0.0": three decimal numbers. INVALID_ARGUMENT otherwise.
absl::StatusOr<Version> parseVersion(std::string_view text);

// The highest of `offered` (ascending or not) that each list in `supported` contains; a plugin that
// does not say what it supports has no list there. FAILED_PRECONDITION when there is none.
absl::StatusOr<Version> chooseVersion(const std::vector<Version>& offered,
                                      const std::vector<std::vector<Version>>& supported);

}  // namespace berth::cni
