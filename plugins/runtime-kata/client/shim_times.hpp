// Times as shims tell them.
#pragma once

#include <cstdint>

#include <google/protobuf/timestamp.pb.h>

#include "berth/support/clock.hpp"

namespace berth::kata {

// Go's zero time, which stands for one that nobody set, becomes now.
inline int64_t nanosecondsOf(const google::protobuf::Timestamp& time) {
  constexpr int64_t kPerSecond = 1'000'000'000;
  constexpr int64_t kLatest = INT64_MAX / kPerSecond - 1;
  if (time.seconds() <= 0 || time.seconds() > kLatest) return support::nowNanoseconds();
  return time.seconds() * kPerSecond + time.nanos();
}

}  // namespace berth::kata
