// Small files, without stdio.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "berth/support/fd.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

// At most `limit` bytes from the file's start (or from its end, for logs). Empty when it cannot be
// read: for optional files and those of /proc, where absence is an answer.
enum class Part { kHead, kTail };
std::string readSmall(int directory, const char* path, size_t limit, Part part = Part::kHead);

// Replaces directory/name at once (write beside, rename).
Status replaceSmall(int directory, const std::string& name, std::string_view content);

// Resumes after EINTR and short writes; 0 or the errno. For blocking descriptors.
int writeFully(int fd, std::string_view data);

// mkdir -p for the parent folders of `path`.
Status makeParents(const std::string& path);

}  // namespace berth::runc::monitor
