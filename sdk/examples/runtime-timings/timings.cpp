#include "timings.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace timed {

double milliseconds(Timings::Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

void Timings::add(std::string_view name, Duration took, bool failed) {
  const std::lock_guard lock(mutex_);
  Sum& sum = sums_[name];
  sum.calls += 1;
  sum.failures += failed ? 1 : 0;
  sum.total += took;
  sum.longest = std::max(sum.longest, took);
}

bool Timings::write(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const std::string fresh = path + ".new";
  std::ofstream out(fresh);
  const char* separator = "{\n";
  for (const auto& [name, sum] : sums_) {
    out << separator << "  \"" << name << "\": {\"calls\": " << sum.calls
        << ", \"failures\": " << sum.failures << ", \"total_ms\": " << milliseconds(sum.total)
        << ", \"longest_ms\": " << milliseconds(sum.longest) << "}";
    separator = ",\n";
  }
  out << (sums_.empty() ? "{}\n" : "\n}\n");
  out.close();
  return out.good() && std::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace timed
