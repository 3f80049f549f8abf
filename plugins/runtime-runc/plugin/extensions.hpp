// What the plugin offers beyond the runtime interface.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::runc {

// The function table for an id of berth/extensions.h, or nullptr.
const void* findExtension(std::string_view id, uint32_t revision);

}  // namespace berth::runc
