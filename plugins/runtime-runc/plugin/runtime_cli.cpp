#include "runtime_cli.hpp"

#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "process_end.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// What it writes to its standard output.
absl::StatusOr<std::string> askRuntime(const PodRecord& pod,
                                       const std::vector<std::string>& command,
                                       std::string_view input, const CallLimits& limits) {
  support::Command run{.argv = {pod.runtimeBinary, "--root", pod.runtimeRoot}};
  run.argv.insert(run.argv.end(), pod.runtimeArgs.begin(), pod.runtimeArgs.end());
  run.argv.insert(run.argv.end(), command.begin(), command.end());
  const std::string doing = strCat("run ", pod.runtimeBinary, " ", absl::StrJoin(command, " "));
  auto output =
      support::run(run, input, {.deadline = limits.deadline, .cancelFd = limits.cancelFd});
  if (!output.ok()) return support::annotate(output.status(), doing);
  if (output->exitCode == 0) return std::move(output->standardOutput);
  const std::string& words =
      output->standardError.empty() ? output->standardOutput : output->standardError;
  return absl::InternalError(strCat(doing, ": exit code ", output->exitCode, ": ",
                                    absl::StripTrailingAsciiWhitespace(words)));
}

// The runtime takes the container's first process for one that runs, because nobody reaps it.
bool isUnreaped(const PodRecord& pod, const std::string& container, const CallLimits& limits) {
  const auto text = askRuntime(pod, {"state", container}, {}, limits);
  if (!text.ok()) return false;
  const auto state = support::parseJsonObject(*text, "the runtime's state");
  return state.ok() && isUnreapedInit(static_cast<pid_t>(support::intMember(*state, "pid")));
}

}  // namespace

absl::Status runRuntime(const PodRecord& pod, const std::vector<std::string>& command,
                        std::string_view input, const CallLimits& limits) {
  return askRuntime(pod, command, input, limits).status();
}

absl::Status deleteFromRuntime(const PodRecord& pod, const std::string& container,
                               const CallLimits& limits) {
  const std::string state = strCat(pod.runtimeRoot, "/", container);
  if (!support::pathExists(state)) return absl::OkStatus();
  absl::Status status = runRuntime(pod, {"delete", container}, {}, limits);
  if (status.ok()) return status;
  // It would wait for the end of that process; what is left is its state.
  if (isUnreaped(pod, container, limits)) return support::removeTree(state);
  // A state cut off half-way is one that plain `delete` refuses.
  const absl::Status forced = runRuntime(pod, {"delete", "--force", container}, {}, limits);
  if (!support::pathExists(state)) return absl::OkStatus();
  if (forced.ok()) return support::removeTree(state);
  support::StatusCollector failures;
  failures.add(status);
  failures.add(forced);
  return failures.status();
}

}  // namespace berth::runc
