// Numbers as archives write them.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

namespace berth::untar {

// A header's numeric field: octal text between spaces and NULs (none is 0), or GNU's base-256.
std::optional<int64_t> fieldNumber(std::string_view field);

// Decimal digits alone, up to INT64_MAX.
std::optional<uint64_t> decimalNumber(std::string_view text);

// Seconds with an optional sign and fraction, as in pax records; digits past nanoseconds are cut.
std::optional<timespec> decimalTime(std::string_view text);

}  // namespace berth::untar
