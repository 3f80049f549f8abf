// Plugins that were built with a sanitizer need its runtime in the process before anything else.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace berth::check {

// The runtime's file or name that a plugin needs preloaded ("libasan.so.8"); empty: none.
std::string sanitizerOf(const std::string& plugin);

enum class Leaks { kIgnored, kReported };

// The environment of a process that loads the plugin; none: this one's.
std::optional<std::vector<std::string>> environmentFor(const std::string& plugin, Leaks leaks);

}  // namespace berth::check
