// Wall-clock time as the CRI and the OCI specifications write it.
#pragma once

#include <cstdint>
#include <string>

namespace berth::support {

// Nanoseconds since 1970-01-01T00:00:00Z (CLOCK_REALTIME). Any thread, never blocks.
int64_t nowNanoseconds();

// RFC 3339 in UTC, always with nine digits, so that such times sort as text:
// "2024-05-06T07:08:09.000000010Z". Any thread, never blocks.
std::string formatRfc3339Nano(int64_t nanoseconds);

}  // namespace berth::support
