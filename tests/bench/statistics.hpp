// What is said about a set of measurements.
#pragma once

#include <cstddef>
#include <vector>

namespace berth::bench {

struct Summary {
  size_t count = 0;
  double median = 0;
  double minimum = 0;
  double maximum = 0;
  double mean = 0;
  double p90 = 0;
  double p99 = 0;
};

// The value below which `fraction` (0 to 1) of the sorted values lie, interpolated linearly
// between the two nearest ranks. 0 for no values.
double quantile(const std::vector<double>& sorted, double fraction);

// Any order of values; all zero for none.
Summary summarize(std::vector<double> values);

}  // namespace berth::bench
