// Runs of a plugin under a checker of memory.
#pragma once

#include <string>
#include <vector>

namespace berth::check {

// The program valgrind; empty when it is not installed.
std::string findValgrind();

// What valgrind's report (--xml=yes) says of a file's code: an error in a line, with the functions
// of it that it was in.
std::vector<std::string> errorsOf(const std::string& report, const std::string& file);

}  // namespace berth::check
