// How timelines are shown to people.
#pragma once

#include <string>

#include "berth-admin-v1.pb.h"

namespace berth::program {

// For a terminal: each operation with its stages, and a bar for each.
std::string explainAsText(const berth::admin::v1::TimelinesResponse& timelines);

// A page of HTML that needs nothing else, with a chart.
std::string explainAsPage(const berth::admin::v1::TimelinesResponse& timelines);

// "1.234": nanoseconds in milliseconds.
std::string millisecondsText(int64_t nanoseconds);

}  // namespace berth::program
