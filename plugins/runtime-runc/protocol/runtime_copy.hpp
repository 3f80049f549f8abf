// What StartRequest::runtimeCopy promises.
#pragma once

#include <sys/stat.h>

namespace berth::runc::protocol {

// The copy has the size and the modification time of the file whose program it holds: so both sides
// tell whether it still is that of the file.
inline bool isCopyOf(const struct stat& copy, const struct stat& program) {
  return copy.st_size == program.st_size && copy.st_mtim.tv_sec == program.st_mtim.tv_sec &&
         copy.st_mtim.tv_nsec == program.st_mtim.tv_nsec;
}

}  // namespace berth::runc::protocol
