// The kernel's control files, without stdio.
#pragma once

#include <string>
#include <string_view>

namespace berth::streams {

// At most `limit` bytes of an open file, from its start. Empty when it cannot be read.
std::string readOpen(int fd, size_t limit);

// One write() to a file that exists; 0 or the errno.
int writeControl(const char* path, std::string_view content);

// The next space- or newline-separated word of `rest`, taken off it; empty at the end.
std::string_view takeWord(std::string_view& rest);

}  // namespace berth::streams
