#include "berth/support/suggestion.hpp"

#include <algorithm>
#include <numeric>

namespace berth::support {

size_t editDistance(std::string_view a, std::string_view b) {
  // Rows of the usual table: the one before the last, the last, and the one being filled.
  std::vector<size_t> older(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], older[j - 2] + 1);
    }
    std::swap(older, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  // Longer than any key: no typing error leads here, and the table would be large.
  constexpr size_t kLongest = 128;
  if (name.size() > kLongest) return {};
  std::string best;
  size_t distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t found = editDistance(name, candidate);
    if (found < distance) {
      distance = found;
      best = candidate;
    }
  }
  return best;
}

}  // namespace berth::support
