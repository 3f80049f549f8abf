// The options that a plugin is configured with, read so that the host can say where a wrong one was
// written (berth/plugin.h, "Who is at fault").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

namespace berth::support {

// The path of what is called `key` in the table at `parent`, quoted as TOML does it:
// "registries.\"registry.example\"". An empty parent adds nothing.
std::string optionPath(std::string_view parent, std::string_view key);

// INVALID_ARGUMENT that the host recognises: "option <path>: <reason>". `path` as in
// "bin_dirs[1]", or "registries.\"registry.example\".ca".
absl::Status optionError(std::string_view path, std::string_view reason);

// An option that is an array of strings; none when it is not given.
absl::StatusOr<std::vector<std::string>> stringsOption(const boost::json::object& options,
                                                       std::string_view key);

}  // namespace berth::support
