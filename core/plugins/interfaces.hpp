// The interfaces this host knows, and what each needs a plugin to implement.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace berth::plugins {

enum class Kind { kRuntime, kSnapshotter, kImageSource, kNetwork };

std::string_view kindName(Kind kind);     // "runtime"
std::string_view interfaceId(Kind kind);  // "berth.runtime/1"

struct Callback {
  std::string_view name;  // as in the header
  size_t offset;          // in the function table
};

// The callbacks a function table of this kind must have.
const std::vector<Callback>& mandatoryCallbacks(Kind kind);

// Copies the smaller of the plugin's and the host's table into `table` (of `size` bytes, zeroed)
// and checks that nothing mandatory is missing. FAILED_PRECONDITION names the callback.
absl::Status copyTable(Kind kind, const void* functions, void* table, size_t size);

}  // namespace berth::plugins
