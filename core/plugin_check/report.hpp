// What is shown to people and to machines.
#pragma once

#include <string>
#include <vector>

#include "plugin_check/runner.hpp"

namespace berth::check {

// A line for the result, with the reasons and what was on standard error below it.
std::string tableRow(const Result& result, size_t nameWidth);
// "31 passed, 1 failed, 2 skipped"
std::string summary(const std::vector<Result>& results);
// JUnit XML of all results; `suite` is the plugin.
std::string junit(const std::string& suite, const std::vector<Result>& results);
// The checks by name, with what each verifies.
std::string checkList(const std::vector<Check>& checks);

}  // namespace berth::check
