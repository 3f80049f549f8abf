// How many files the daemon may have open.
#pragma once

namespace berth::common {

// Raises this process's soft limit to its hard one (RLIMIT_NOFILE): a node's pods need more than
// the 1,024 that services usually start with. Children get the limit that it had before
// (berth/support/open_files.hpp). Before any thread.
void raiseOpenFiles();

}  // namespace berth::common
