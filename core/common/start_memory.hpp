// What the daemon's start has taken and its service does not need.
#pragma once

namespace berth::common {

// Gives freed memory back to the system, and lets go of program text: what the start alone has run
// would stay mapped, and counted as this process's, for its life. The page cache keeps it, and what
// is run again is mapped again from there. Text that somebody has changed in memory, as breakpoints
// and probes do, stays. Any thread; takes milliseconds.
void releaseStartMemory();

}  // namespace berth::common
