#include "berth/support/clock.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace berth::support {

int64_t nowNanoseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::string formatRfc3339Nano(int64_t nanoseconds) {
  constexpr int64_t kPerSecond = 1'000'000'000;
  int64_t fraction = nanoseconds % kPerSecond;
  time_t seconds = static_cast<time_t>(nanoseconds / kPerSecond);
  if (fraction < 0) {  // before 1970 too the fraction counts forwards
    fraction += kPerSecond;
    --seconds;
  }
  tm parts = {};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text;
  const int length =
      std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%09lldZ",
                    parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                    parts.tm_min, parts.tm_sec, static_cast<long long>(fraction));
  return std::string(text.data(), static_cast<size_t>(length));
}

}  // namespace berth::support
