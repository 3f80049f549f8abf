// How commands find the daemon that runs.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "main/options.hpp"

namespace berth::program {

// Where it serves: `--socket`; else what a daemon with this `state` has told, if one answers there;
// else `grpc.socket`. A daemon that runs is found whatever is wrong with the files, which standard
// error then tells; what is wrong is the error when none answers, or when a file that was named
// cannot be read. Blocks on files.
absl::StatusOr<std::string> findDaemon(const ConfigOptions& options);

// From the daemon: tells in the folder `state` that it serves `socket`. Blocks on the disk.
absl::Status tellOfSocket(const std::string& state, const std::string& socket);

}  // namespace berth::program
