// Which boot of the machine this is.
#pragma once

#include <string>

namespace berth::common {

// Another one after each boot (random(4)); empty when the kernel does not say. Reads /proc.
std::string bootId();

}  // namespace berth::common
