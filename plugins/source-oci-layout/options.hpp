// The plugin's options, checked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::layout {

struct Options {
  std::vector<std::string> paths;  // absolute, in the order in which they are looked through
};

// What the plugin declares (berth_plugin.options).
extern const std::string_view kDeclaredOptions;

// INVALID_ARGUMENT naming the key.
absl::StatusOr<Options> parseOptions(std::string_view json);

}  // namespace berth::layout
