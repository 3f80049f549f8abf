// What the process of a plugin may not do, whatever the plugin asks for.
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>

namespace berth::isolation {

// Gives up all capabilities but `keep` (bits; those that the process does not have are no failure),
// for what it starts too, and has the kernel refuse the system calls that no plugin of this
// interface needs. Before any thread, and for good.
absl::Status confine(std::string_view interfaceId, uint64_t keep);

}  // namespace berth::isolation
