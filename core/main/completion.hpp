// Completion of a program's command line, made from the table that parses it.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace berth::program {

// "bash", "zsh", "fish".
std::vector<std::string> completionShells();

// What the shell reads to complete subcommands and long options of `app`. Values of options are
// completed as files; what has no name, such as "completion SHELL", by its choices.
std::string completionScript(const CLI::App& app, const std::string& shell);

}  // namespace berth::program
