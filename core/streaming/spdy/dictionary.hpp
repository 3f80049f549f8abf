// What both sides' header compression starts from (2.6.10.1).
#pragma once

#include <cstdint>
#include <vector>

namespace berth::streaming::spdy {

// The same bytes for the whole life of the process. Any thread.
const std::vector<uint8_t>& headerDictionary();

}  // namespace berth::streaming::spdy
