// A directory that instances of a plugin share while one replaces another.
#pragma once

#include <functional>
#include <string>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::support {

// What this returns says, until it is closed, that its owner works in `directory`, which must be
// there. `clear` runs first, and only when nobody else works in it: what a crash has left may go
// then. Its failure is this function's. Blocks while another owner begins.
absl::StatusOr<Fd> shareDirectory(const std::string& directory,
                                  const std::function<absl::Status()>& clear);

}  // namespace berth::support
