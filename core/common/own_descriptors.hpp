// Threads that others may keep from ending.
#pragma once

#include <vector>

#include <absl/status/status.h>

namespace berth::common {

// Gives the calling thread a table of descriptors of its own, which has these numbers alone, for as
// long as it lives. What keeps it, in the kernel and for ever, then keeps nothing else that the
// process has open: when that ends its locks and sockets are free for the next one. What it does
// with descriptors afterwards the rest of the process does not see.
absl::Status keepOwnDescriptors(std::vector<int> kept);

}  // namespace berth::common
