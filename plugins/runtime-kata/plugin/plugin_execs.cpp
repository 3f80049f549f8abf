// Processes that are executed, terminals, sessions.
#include <poll.h>
#include <utility>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "exec_end.hpp"
#include "host_parts.hpp"
#include "kata_plugin.hpp"
#include "pod_streams.hpp"

namespace berth::kata {

using support::strCat;

namespace {

// Of what a call that was cut off does before it returns.
constexpr auto kUndoTime = std::chrono::seconds(3);
constexpr auto kOutputTime = std::chrono::seconds(2);
constexpr const char* kProcess = "types.containerd.io/opencontainers/runtime-spec/1/Process";

// Those that were given, for the keeper to close when they are at their end.
uint32_t maskOf(const Streams& streams) {
  return (streams.input >= 0 ? keeper::kInput : 0u) | (streams.output >= 0 ? keeper::kOutput : 0u) |
         (streams.error >= 0 ? keeper::kError : 0u);
}

absl::Status resizeTask(TaskClient& shim, std::string_view container, std::string_view exec,
                        uint32_t rows, uint32_t columns, const CallLimits& limits) {
  api::ResizePtyRequest request;
  request.set_id(std::string(container));
  request.set_exec_id(std::string(exec));
  request.set_height(rows);
  request.set_width(columns);
  return shim.tell("ResizePty", request, limits);
}

}  // namespace

absl::Status KataPlugin::startExec(const Op& op, const Target& target, const berth_exec_spec& spec,
                                   const std::shared_ptr<Exec>& exec) {
  const CallLimits limits = exec->withStreams(limitsOf(op));
  const bool terminal = (spec.flags & BERTH_CONTAINER_TERMINAL) != 0;
  const Streams streams{spec.stdin_fd, spec.stdout_fd, terminal ? -1 : spec.stderr_fd};
  const std::pair<const char*, int> fifos[] = {
      {"in", streams.input}, {"out", streams.output}, {"err", streams.error}};
  for (const auto& [stream, fd] : fifos) {
    if (fd >= 0) BERTH_RETURN_IF_ERROR(makeFifo(target.pod->fifo(exec->key(), stream)));
  }
  const keeper::Request open = openRequest(*target.pod, exec->key());
  BERTH_RETURN_IF_ERROR(KeeperClient::ask(exec->keeper, open, limits).status());
  api::ExecProcessRequest request;
  request.set_id(exec->container);
  request.set_exec_id(exec->id);
  request.set_terminal(terminal);
  request.set_stdin(open.input);
  // Shims of this host that are given one stream open the others too.
  const bool whole = target.pod->record().namespaces && !terminal && maskOf(streams) != 0;
  const auto output = [&](const std::string& fifoPath) {
    return fifoPath.empty() && whole ? std::string("/dev/null") : fifoPath;
  };
  request.set_stdout(output(open.output));
  request.set_stderr(output(open.error));
  request.mutable_spec()->set_type_url(kProcess);
  request.mutable_spec()->set_value(copy(spec.process));
  op.stage("add the process to its container");
  BERTH_RETURN_IF_ERROR(target.shim->tell("Exec", request, limits));
  if (maskOf(streams) != 0) {
    const keeper::Request attach{.operation = keeper::Operation::kAttach,
                                 .key = exec->key(),
                                 .descriptors = maskOf(streams)};
    BERTH_RETURN_IF_ERROR(KeeperClient::ask(exec->keeper, attach, limits, streams).status());
  }
  op.stage("start the process");
  BERTH_RETURN_IF_ERROR(target.shim->start(exec->container, exec->id, limits).status());
  target.pod->awaitExec(*target.shim, exec);
  if (terminal && spec.rows > 0 && spec.columns > 0) {
    // One that has ended already has no terminal.
    (void)resizeTask(*target.shim, exec->container, exec->id, spec.rows, spec.columns, limits);
  }
  if (target.pod->inputEndIsDue(*exec, true)) {
    api::CloseIORequest close;
    close.set_id(exec->container);
    close.set_exec_id(exec->id);
    close.set_stdin(true);
    target.shim->begin("CloseIO", close, limits, [](const auto&) {});
  }
  return absl::OkStatus();
}

// All of it, or its pod goes on with that.
absl::Status KataPlugin::giveUpExec(const Target& target, const std::shared_ptr<Exec>& exec,
                                    bool mayRun) {
  const CallLimits limits = limitsFor(kUndoTime);
  const absl::Status ended = endExec(*target.pod, *target.shim, exec, mayRun, limits, limits);
  // The shim may go on behind a connection that is broken.
  if (!ended.ok() || target.shim->isBroken()) target.pod->endExecLater(exec);
  return support::annotate(ended, "end the process");
}

Status KataPlugin::execStart(const Op& op, const berth_exec_spec& spec) {
  const auto target = reach(op, view(spec.pod), view(spec.container));
  if (!target.ok()) return target.status();
  const std::string doing = strCat("execute in container ", view(spec.container));
  if (absl::Status id = checkId("exec", view(spec.id)); !id.ok()) return id;
  const auto process = support::parseJsonObject(view(spec.process), "the process to execute");
  if (!process.ok()) return process.status();
  if (support::boolMember(*process, "terminal") != ((spec.flags & BERTH_CONTAINER_TERMINAL) != 0)) {
    return absl::InvalidArgumentError(
        "\"terminal\" of the process to execute and its terminal flag differ");
  }
  auto keeper = target->pod->keeper().connect(limitsOf(op));
  if (!keeper.ok()) return support::annotate(keeper.status(), doing);
  const auto exec = target->pod->addExec(view(spec.container), view(spec.id), *std::move(keeper));
  if (!exec.ok()) return exec.status();
  const absl::Status started = startExec(op, *target, spec, *exec);
  if (started.ok()) return {};
  // A shim that has refused to start it never tells its end.
  const bool mayRun = absl::IsCancelled(started) || absl::IsDeadlineExceeded(started) ||
                      absl::IsUnavailable(started);
  support::StatusCollector failures;
  failures.add(support::annotate(started, doing));
  failures.add(giveUpExec(*target, *exec, mayRun));
  return failures.status();
}

Status KataPlugin::execWait(const Op& op, std::string_view pod, std::string_view container,
                            std::string_view exec, int32_t& exitCode) {
  const auto known = requireContainer(pod, container);
  if (!known.ok()) return known.status();
  const auto found = known->pod->findExec(container, exec);
  if (found == nullptr) {
    return absl::NotFoundError(strCat("container ", container, " has no process ", exec));
  }
  const auto target = reach(op, pod, container);
  if (!target.ok()) {
    // Nobody asks for it again.
    known->pod->endExecLater(found);
    return target.status();
  }
  op.stage("wait for the process");
  const std::string doing = strCat("wait for process ", exec, " in container ", container);
  absl::Status status =
      waitFor(found->ended.get(), POLLIN, found->withStreams(limitsOf(op)), doing);
  if (status.ok()) {
    // Its output is read to its end, or as long as others of its making hold it open; whoever it is
    // for may take its time. Only the keeper that had it from its start can tell that this is all.
    const keeper::Request finish{
        .operation = keeper::Operation::kFinish,
        .key = found->key(),
        .timeoutMs = static_cast<uint32_t>(std::chrono::milliseconds(kOutputTime).count())};
    const absl::Status read = KeeperClient::ask(found->keeper, finish, limitsOf(op)).status();
    const std::optional<int> code = target->pod->exitCodeOf(*found);
    exitCode = code.value_or(0);
    if (absl::IsUnavailable(read) || absl::IsNotFound(read)) {
      status = absl::UnavailableError(
          strCat(doing, ": some of what it wrote is lost with the pod's keeper"));
    } else {
      status = support::annotate(read, strCat(doing, ": read what it wrote"));
    }
    if (!code) status = absl::UnavailableError(strCat(doing, ": its end is not known"));
  }
  const absl::Status ended = giveUpExec(*target, found, true);
  if (status.ok()) {
    // Its exit code is known; the rest goes with its container.
    if (!ended.ok())
      warn(std::string(pod), "a process that has ended could not be forgotten", ended);
    return {};
  }
  support::StatusCollector failures;
  failures.add(status);
  failures.add(ended);
  return failures.status();
}

Status KataPlugin::resize(const Op& op, std::string_view pod, std::string_view container,
                          std::string_view exec, uint32_t rows, uint32_t columns) {
  const auto target = reach(op, pod, container);
  if (!target.ok()) return target.status();
  return support::annotate(resizeTask(*target->shim, container, exec, rows, columns, limitsOf(op)),
                           strCat("resize the terminal of container ", container));
}

Status KataPlugin::attach(const Op& op, std::string_view pod, std::string_view container,
                          int stdinFd, int stdoutFd, int stderrFd) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  const Streams streams{stdinFd, stdoutFd, stderrFd};
  const keeper::Request request{.operation = keeper::Operation::kAttach,
                                .key = std::string(container),
                                .descriptors = maskOf(streams)};
  return support::annotate(target->pod->keeper().call(request, limitsOf(op), streams).status(),
                           strCat("attach to container ", container));
}

}  // namespace berth::kata
