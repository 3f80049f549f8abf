#include "version.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "berth/support/status.hpp"

namespace berth::cni {

using support::strCat;

std::string Version::text() const {
  return strCat(major, ".", minor, ".", patch);
}

absl::StatusOr<Version> parseVersion(std::string_view text) {
  std::array<int, 3> numbers = {};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  bool good = true;
  for (size_t i = 0; i < numbers.size() && good; ++i) {
    if (i > 0) good = at != end && *at++ == '.';
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    good = good && error == std::errc() && numbers[i] >= 0;
    at = next;
  }
  if (!good || at != end)
    return absl::InvalidArgumentError(strCat("\"", text, "\" is no version such as 1.0.0"));
  return Version{numbers[0], numbers[1], numbers[2]};
}

absl::StatusOr<Version> chooseVersion(const std::vector<Version>& offered,
                                      const std::vector<std::vector<Version>>& supported) {
  std::vector<Version> candidates = offered;
  std::sort(candidates.begin(), candidates.end(), std::greater<>());
  for (const Version& candidate : candidates) {
    const bool byAll = std::all_of(supported.begin(), supported.end(), [&](const auto& list) {
      return std::find(list.begin(), list.end(), candidate) != list.end();
    });
    if (byAll) return candidate;
  }
  return absl::FailedPreconditionError(
      "none of the versions the network offers is supported by all of its plugins");
}

}  // namespace berth::cni
