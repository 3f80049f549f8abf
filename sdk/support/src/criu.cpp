#include "berth/support/criu.hpp"

#include <vector>

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "berth/support/status.hpp"

namespace berth::support {

namespace {

// The first errors are the cause, those after them its consequences.
constexpr size_t kErrors = 3;

// "(00.012345)      7: Error (criu/files.c:12): what" is "what".
std::string_view errorIn(std::string_view line) {
  constexpr std::string_view kMark = "Error (";
  const size_t at = line.find(kMark);
  if (at == std::string_view::npos) return {};
  const size_t end = line.find("): ", at + kMark.size());
  return end == std::string_view::npos ? std::string_view() : line.substr(end + 3);
}

}  // namespace

std::string criuErrors(std::string_view log) {
  std::vector<std::string> errors;
  for (const absl::string_view line : absl::StrSplit(toAbsl(log), '\n', absl::SkipEmpty())) {
    const std::string_view text = errorIn(fromAbsl(line));
    if (text.empty()) continue;
    errors.emplace_back(text);
    if (errors.size() == kErrors) break;
  }
  return absl::StrJoin(errors, "; ");
}

absl::Status checkCriu(const RunLimits& limits) {
  const auto output = run({.argv = {"criu", "check"}}, {}, limits);
  if (absl::IsNotFound(output.status())) {
    return absl::FailedPreconditionError("criu is not installed: not found in PATH");
  }
  if (!output.ok()) {
    return absl::FailedPreconditionError(
        strCat("criu check: ", fromAbsl(output.status().message())));
  }
  if (output->exitCode == 0) return absl::OkStatus();
  std::string reason = criuErrors(output->standardError);
  if (reason.empty()) reason = criuErrors(output->standardOutput);
  if (reason.empty()) {
    reason = std::string(absl::StripAsciiWhitespace(output->standardError));
  }
  return absl::FailedPreconditionError(
      strCat("criu check: ", reason.empty() ? strCat("exit code ", output->exitCode) : reason));
}

}  // namespace berth::support
