// Which system calls of a foreign program change what outlives it, and how they are named.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace berth::crash {

struct Call {
  uint64_t number = 0;
  uint64_t arguments[6] = {};
};

// "PROGRAM CALL<tab>SUBJECT" with a canonical subject, or empty for a call that changes nothing of
// that kind. `thread` is in ptrace's stop at the call's entry, where its memory can be read.
std::string nameOf(pid_t thread, const Call& call);

// Text of a link below /proc/THREAD, or empty.
std::string linkOf(pid_t thread, const std::string& entry);

}  // namespace berth::crash
