// Something that has ceased to work.
#pragma once

#include <chrono>
#include <string>

namespace berth::common {

struct Outage {
  std::chrono::steady_clock::time_point since;
  std::string why;  // for people
};

}  // namespace berth::common
