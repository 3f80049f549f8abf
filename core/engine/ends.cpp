#include "engine/ends.hpp"

#include <string>

#include "berth/support/clock.hpp"
#include "engine/life_step.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;

namespace {

constexpr int kUnknownExitCode = 137;
// What the peers and the shell report for a program that could not be run.
constexpr int kStartErrorExitCode = 128;

std::string exitReason(int exitCode, bool oomKilled) {
  if (oomKilled) return "OOMKilled";
  return exitCode == 0 ? "Completed" : "Error";
}

int64_t orNow(int64_t time) {
  return time != 0 ? time : support::nowNanoseconds();
}

}  // namespace

absl::Status recordExit(Container& container, const plugins::ContainerStatus& status) {
  const bool known = container.state() == v1::CONTAINER_EXITED;
  if (known && status.message.empty()) return absl::OkStatus();  // told twice
  return container.change([&](records::ContainerRecord& r) {
    if (r.state() == v1::CONTAINER_EXITED) {
      // Who waits for an end hears of no reason; the event brings it, now or before.
      if (r.message().empty()) r.set_message(status.message);
      return;
    }
    r.set_state(v1::CONTAINER_EXITED);
    r.set_exit_code(status.exitCode);
    if (status.startedAt != 0) r.set_started_at(status.startedAt);
    r.set_finished_at(orNow(status.finishedAt));
    r.set_reason(exitReason(status.exitCode, status.oomKilled));
    r.set_message(status.message);
    r.set_pid(0);
  });
}

absl::Status recordStartFailure(Container& container, std::string_view message, int64_t time) {
  if (container.state() == v1::CONTAINER_EXITED) return absl::OkStatus();
  const int64_t at = orNow(time);
  return container.change([&](records::ContainerRecord& r) {
    if (r.state() == v1::CONTAINER_EXITED) return;
    r.set_state(v1::CONTAINER_EXITED);
    r.set_exit_code(kStartErrorExitCode);
    r.set_started_at(at);
    r.set_finished_at(at);
    r.set_reason(std::string(kStartErrorReason));
    r.set_message(std::string(message));
    r.set_pid(0);
  });
}

absl::Status recordEnd(Container& container, const plugins::ContainerStatus& status) {
  const bool ran = status.startedAt != 0 || container.state() != v1::CONTAINER_CREATED;
  return ran ? recordExit(container, status)
             : recordStartFailure(container, status.message, status.finishedAt);
}

absl::Status recordUnknownEnd(Container& container, std::string_view message, int64_t time) {
  if (container.state() != v1::CONTAINER_RUNNING) return absl::OkStatus();
  const int64_t at = orNow(time);
  return container.change([&](records::ContainerRecord& r) {
    if (r.state() != v1::CONTAINER_RUNNING) return;
    r.set_state(v1::CONTAINER_EXITED);
    r.set_exit_code(kUnknownExitCode);
    r.set_finished_at(at);
    r.set_reason(exitReason(kUnknownExitCode, false));
    r.set_message(std::string(message));
    r.set_pid(0);
  });
}

}  // namespace berth::engine
