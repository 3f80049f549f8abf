// Runs checks one after the other, each in a process of its own, and judges how that went.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "plugin_check/check.hpp"
#include "plugin_check/settings.hpp"

namespace berth::check {

enum class Outcome { kPassed, kWarned, kFailed, kSkipped };
std::string_view outcomeName(Outcome outcome);

struct Result {
  Check check;
  Outcome outcome = Outcome::kPassed;
  std::vector<std::string> reasons;
  std::string errors;  // the end of what was written to standard error
  std::chrono::milliseconds took{0};
};

// Runs the checks and hands each result to `done` at once. Blocks. A failure is one of the checker
// itself: no folder to work in, no process to be had. SIGINT, SIGTERM and SIGHUP end this process
// when nothing of it is left.
absl::StatusOr<std::vector<Result>> runChecks(const std::vector<Check>& checks, Settings settings,
                                              const std::function<void(const Result&)>& done);

}  // namespace berth::check
