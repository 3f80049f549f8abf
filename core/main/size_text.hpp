// Bytes as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace berth::program {

// "12.3 MiB".
std::string sizeText(uint64_t bytes);

}  // namespace berth::program
