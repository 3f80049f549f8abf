// How often calls were made, and how long they took.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace timed {

// Any thread.
class Timings {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // `name` is a literal.
  void add(std::string_view name, Duration took, bool failed);
  // Replaces the file at once; false when it cannot be written.
  bool write(const std::string& path) const;

 private:
  struct Sum {
    unsigned long long calls = 0;
    unsigned long long failures = 0;
    Duration total{};
    Duration longest{};
  };
  mutable std::mutex mutex_;
  std::map<std::string_view, Sum> sums_;
};

double milliseconds(Timings::Duration duration);

}  // namespace timed
