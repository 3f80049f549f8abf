// Processes added to running containers, and terminals.
#include <algorithm>
#include <cstdint>
#include <signal.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "runtime_plugin.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// Of what a call that was cut off does before it returns.
constexpr auto kUndoTime = std::chrono::seconds(3);

uint16_t consoleSide(uint32_t cells) {
  return static_cast<uint16_t>(std::min<uint32_t>(cells, UINT16_MAX));
}

absl::StatusOr<ExecOptions> execOptions(const berth_exec_spec& spec) {
  BERTH_RETURN_IF_ERROR(checkId("exec", view(spec.id)));
  BERTH_ASSIGN_OR_RETURN(boost::json::object process,
                         support::parseJsonObject(view(spec.process), "the process to execute"));
  ExecOptions options;
  options.containerId = copy(spec.container);
  options.execId = copy(spec.id);
  options.processJson = copy(spec.process);
  options.terminal = (spec.flags & BERTH_CONTAINER_TERMINAL) != 0;
  options.consoleWidth = consoleSide(spec.columns);
  options.consoleHeight = consoleSide(spec.rows);
  // Its streams end with this process; so does its use.
  options.onDisconnect = protocol::OnDisconnect::kKill;
  if (options.terminal != support::boolMember(process, "terminal")) {
    return absl::InvalidArgumentError(
        "\"terminal\" of the process to execute and its terminal flag differ");
  }
  if (options.terminal && options.consoleWidth > 0 && options.consoleHeight > 0) {
    // Set by the runtime before the program runs; the monitor can only do it afterwards.
    process["consoleSize"] = {{"width", options.consoleWidth}, {"height", options.consoleHeight}};
    options.processJson = boost::json::serialize(process);
  }
  return options;
}

// Kills the whole tree and has the monitor forget it. One that is silent finds both requests when
// it looks again.
absl::Status killExec(MonitorClient& client, const std::string& container,
                      const std::string& exec) {
  const CallLimits limits = limitsFor(kUndoTime);
  const absl::Status killed =
      client.killExec(container, exec, SIGKILL, protocol::KillScope::kAll, limits);
  if (absl::IsNotFound(killed)) return absl::OkStatus();
  const absl::Status ended = client.waitExec(container, exec, limits).status();
  BERTH_RETURN_IF_ERROR(killed);
  return absl::IsNotFound(ended) ? absl::OkStatus() : ended;
}

// For a call that was cut off: nothing of the process stays.
absl::Status giveUp(MonitorClient& client, const std::string& container, const std::string& exec,
                    const absl::Status& why) {
  if (!absl::IsCancelled(why) && !absl::IsDeadlineExceeded(why)) return why;
  support::StatusCollector failures;
  failures.add(why);
  failures.add(support::annotate(killExec(client, container, exec), "kill the process"));
  return failures.status();
}

}  // namespace

Status RuntimePlugin::execStart(const Op& op, const berth_exec_spec& spec) {
  const auto target = requireMonitor(op, view(spec.pod), view(spec.container));
  if (!target.ok()) return target.status();
  const auto options = execOptions(spec);
  if (!options.ok()) return options.status();
  op.stage("start the process");
  const Streams streams{spec.stdin_fd, spec.stdout_fd, spec.stderr_fd};
  absl::Status status = target->client->exec(*options, streams, limitsOf(op)).status();
  status = giveUp(*target->client, options->containerId, options->execId, status);
  return support::annotate(status, strCat("execute in container ", view(spec.container)));
}

Status RuntimePlugin::execWait(const Op& op, std::string_view pod, std::string_view container,
                               std::string_view exec, int32_t& exitCode) {
  const auto target = requireMonitor(op, pod, container);
  if (!target.ok()) return target.status();
  op.stage("wait for the process");
  const std::string containerId(container);
  const std::string execId(exec);
  const auto ended = target->client->waitExec(containerId, execId, limitsOf(op));
  if (ended.ok()) {
    exitCode = ended->exitCode;
    return {};
  }
  const absl::Status status = giveUp(*target->client, containerId, execId, ended.status());
  return support::annotate(status,
                           strCat("wait for process ", exec, " executed in container ", container));
}

Status RuntimePlugin::resize(const Op& op, std::string_view pod, std::string_view container,
                             std::string_view exec, uint32_t rows, uint32_t columns) {
  const auto target = requireMonitor(op, pod, container);
  if (!target.ok()) return target.status();
  return support::annotate(
      target->client->resize(std::string(container), std::string(exec), consoleSide(columns),
                             consoleSide(rows), limitsOf(op)),
      strCat("resize the terminal of container ", container));
}

Status RuntimePlugin::attach(const Op& op, std::string_view pod, std::string_view container,
                             int stdinFd, int stdoutFd, int stderrFd) {
  const auto target = requireMonitor(op, pod, container);
  if (!target.ok()) return target.status();
  return support::annotate(
      target->client->attach(std::string(container), {stdinFd, stdoutFd, stderrFd}, limitsOf(op)),
      strCat("attach to container ", container));
}

}  // namespace berth::runc
