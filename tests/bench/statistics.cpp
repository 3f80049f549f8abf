#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace berth::bench {

double quantile(const std::vector<double>& sorted, double fraction) {
  if (sorted.empty()) return 0;
  const double rank = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(rank));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], rank - static_cast<double>(below));
}

Summary summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {
      .count = values.size(),
      .median = quantile(values, 0.5),
      .minimum = values.front(),
      .maximum = values.back(),
      .mean =
          std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()),
      .p90 = quantile(values, 0.9),
      .p99 = quantile(values, 0.99),
  };
}

}  // namespace berth::bench
