#include "main/next_start.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>

#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "main/options.hpp"

namespace berth::program {

namespace {

using support::strCat;

constexpr const char* kThisProgram = "/proc/self/exe";
// To say what it has waited for in vain.
constexpr std::chrono::milliseconds kToTell{500};

support::Command commandFor(const plugins::Operation& op, const config::Paths& paths) {
  using Seconds = std::chrono::duration<double>;
  const Seconds limit = op.deadline() - plugins::Operation::Clock::now() - kToTell;
  support::Command command;
  command.argv = {kThisProgram, "config",  "check",
                  "--verbose",  "--limit", std::to_string(std::max(limit.count(), 0.0))};
  if (paths.dropIns.empty()) command.argv.insert(command.argv.end(), {"--config", paths.file});
  command.newSession = true;  // plugins' children end with it
  command.endsWithThread = true;
  return command;
}

// Its verdict; without one, what it was waiting for.
std::string lastLine(const std::string& text) {
  const absl::string_view lines = absl::StripTrailingAsciiWhitespace(support::toAbsl(text));
  const std::vector<absl::string_view> all = absl::StrSplit(lines, '\n');
  return std::string(all.back());
}

}  // namespace

absl::Status judgeNextStart(const plugins::Operation& op, const config::Paths& paths) {
  BERTH_ASSIGN_OR_RETURN(const support::Output told,
                         support::run(commandFor(op, paths), {},
                                      {.deadline = op.deadline(), .cancelFd = op.cancelFd()}));
  const std::string last = lastLine(told.standardOutput);
  if (told.exitCode == 0 && last == kValidConfiguration) return absl::OkStatus();
  std::string problems(absl::StripAsciiWhitespace(support::toAbsl(told.standardError)));
  if (told.exitCode != kInvalidConfiguration) {
    problems = strCat("a start would not go on after waiting for ", last, ": it ended with status ",
                      told.exitCode, problems.empty() ? "" : "\n", problems);
  }
  return absl::InvalidArgumentError(problems);
}

}  // namespace berth::program
