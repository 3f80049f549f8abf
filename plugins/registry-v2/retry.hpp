// When a failed request is worth repeating, and after how long.
#pragma once

#include <chrono>
#include <ctime>
#include <optional>
#include <string_view>

#include <absl/status/status.h>

namespace berth::registry {

using Milliseconds = std::chrono::milliseconds;

// No server may make a pull wait longer than this before the next attempt.
inline constexpr Milliseconds kLongestWait{60'000};

// Retry-After (RFC 9110, section 10.2.3): seconds or an HTTP date, which is measured against
// `now`. Nothing when it is neither; a date that has passed is zero; bounded to a day.
std::optional<Milliseconds> parseRetryAfter(std::string_view value, std::time_t now);

// The pause before repeat number `repeat` (0, 1, …): doubles from 250 ms up to 5 s, with a random
// half taken off, so that nodes that failed together do not return together. Any thread.
Milliseconds backOff(unsigned repeat);

// 408, 429 and the 5xx that pass.
bool isTransient(long httpStatus);

// The gRPC code of an HTTP status that is no success.
absl::StatusCode codeOfHttpStatus(long httpStatus);

// "Not Found"; empty when it has no well-known name.
std::string_view nameOfHttpStatus(long httpStatus);

}  // namespace berth::registry
