// The process that runs one check.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin_check/check.hpp"
#include "plugin_check/probe.hpp"

namespace berth::check {

// Files in a check's folder.
inline constexpr std::string_view kRecordName = "record";      // what it told, a line for each
inline constexpr std::string_view kSettingsName = "settings";  // JSON
inline constexpr std::string_view kErrorsName = "stderr";

// The command line of such a process; it finds its settings in the folder.
std::vector<std::string> childArguments(const Place& place);
// Whether these are such arguments.
bool isChild(int argc, char** argv);
// Runs the check. The process's exit code: 0, also when the plugin fails the check.
int runChild(int argc, char** argv);

// The kind that the plugin declares, asked in a process of its own, for loading may do anything;
// none when there is no answer.
std::optional<plugins::Kind> askKind(const std::string& file);
// That process.
bool isKindQuestion(int argc, char** argv);
int answerKind(const std::string& file);

}  // namespace berth::check
