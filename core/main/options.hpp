// The command line of `berth` and `berthd`.
#pragma once

#include <string>

#include "config/config.hpp"

namespace berth::program {

// What every subcommand that reads the configuration takes.
struct ConfigOptions {
  std::string file;  // empty: the default file and its drop-ins
};

// Files named on the command line must exist and stand alone: no drop-ins.
config::Paths pathsOf(const ConfigOptions& options);

// Prints an error as the last thing before a failing exit.
int fail(const absl::Status& status);

// The subcommands; each returns the exit code.
int serve(const ConfigOptions& options);
int check(const ConfigOptions& options);
int configShow(const ConfigOptions& options);
int configCheck(const ConfigOptions& options);
int configDefault(const ConfigOptions& options);
int listPlugins(const ConfigOptions& options);
int listOperations(const ConfigOptions& options);
int reload(const ConfigOptions& options);
int version();

}  // namespace berth::program
