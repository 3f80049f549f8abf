// A plugin's shared object in a process of its own, presented as if it were loaded in this one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "plugins/library.hpp"

namespace berth::plugins {

// How an instance of a plugin is kept apart.
struct Isolation {
  bool process = false;  // of its own
  std::string program;   // berth-plugin-host; empty: the one that is installed with this program
  std::optional<uint64_t> capabilities;  // bits that it keeps at most; none: those of its kind
  uint32_t place = 0;  // each process of an instance that may run at one time has one of its own
};

// The bits (capabilities(7)) that plugins of a kind keep.
uint64_t standardCapabilities(Kind kind);

// For one instance. Starts the process, which loads and checks the file as Library::load does; what
// it says of the plugin is checked here once more. Failures are those of Library::load; also
// FAILED_PRECONDITION when the process ends, with the reason.
absl::StatusOr<std::shared_ptr<const Library>> loadIsolated(const std::string& path, Kind kind,
                                                            const Isolation& isolation);

}  // namespace berth::plugins
