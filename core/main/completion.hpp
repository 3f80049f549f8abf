// Completion of a program's command line, made from the table that parses it.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace berth::program {

// The type name (CLI::Option::type_name) of options and arguments that are paths.
inline constexpr const char* kPathType = "PATH";

// "bash", "zsh", "fish".
std::vector<std::string> completionShells();

// What the shell reads to complete subcommands and long options of `app`. Values of options are
// completed as files; what has no name by its choices, such as "completion SHELL", or as files when
// it is a path.
std::string completionScript(const CLI::App& app, const std::string& shell);

}  // namespace berth::program
