// The interfaces this host knows, and what each needs a plugin to implement.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace berth::plugins {

enum class Kind { kRuntime, kSnapshotter, kImageSource, kNetwork };

std::string_view kindName(Kind kind);     // "runtime"
std::string_view interfaceId(Kind kind);  // "berth.runtime/1"
// The kind of an interface id; none when this host does not know it.
std::optional<Kind> kindOf(std::string_view interfaceId);
// Bytes of the kind's function table as this host knows it.
size_t tableSize(Kind kind);

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
