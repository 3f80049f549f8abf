// A plugin's entry, found without the checks that a host makes of what it returns.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "berth/plugin.h"

namespace berth::check {

// Loads the file as a host does and leaves it loaded. FAILED_PRECONDITION with the linker's words.
absl::StatusOr<void*> openLibrary(const std::string& file);
absl::StatusOr<berth_plugin_entry_function> findEntry(const std::string& file);

// What the entry returns for this host's ABI; UNKNOWN when it throws or returns nothing.
absl::StatusOr<const berth_plugin*> callEntry(const std::string& file);

}  // namespace berth::check
