// Copies of directory trees.
#pragma once

#include <functional>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::common {

// Makes `to`, an empty directory, what the directory `from` is: its files, directories, links and
// special files with their owners, modes, times and extended attributes, and its own too. Hard
// links within the tree stay links, holes stay holes. No link is followed. Neither side may be
// changed by others meanwhile. `goOn` is asked for every entry; its failure ends the copy and is
// returned. What was copied so far stays. Any thread; blocks on the file systems.
absl::Status copyTree(const support::Fd& from, const support::Fd& to,
                      const std::function<absl::Status()>& goOn);

}  // namespace berth::common
