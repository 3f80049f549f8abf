// Where an instance of a plugin was configured, and messages that say so.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "common/place.hpp"

namespace berth::plugins {

struct Origin {
  std::string table;  // "runtimes.crun"
  common::Place place;
};

// Each line of `message` with the place before it. A line "option PATH: REASON" (berth/plugin.h,
// "Who is at fault") becomes "FILE:LINE:COLUMN: runtimes.crun.options.PATH: REASON"; of another the
// place is the table's, and `doing`, where it is not empty, says what failed. `after` ends each.
std::string locate(const Origin& origin, std::string_view doing, std::string_view message,
                   std::string_view after);
// The same of a status; OK stays OK.
absl::Status locate(const Origin& origin, std::string_view doing, const absl::Status& status,
                    std::string_view after);

}  // namespace berth::plugins
