// Random identifiers.
#pragma once

#include <string>

namespace berth::support {

// 64 lowercase hexadecimal digits (256 bits) from getrandom(2). Any thread; blocks only while the
// kernel has not yet seeded its generator, right after boot.
std::string randomId();

}  // namespace berth::support
