// The one place that adds processes to containers: for ExecSync and for interactive clients.
#include "engine/exec.hpp"

#include <atomic>

#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

using support::strCat;

namespace {

constexpr std::chrono::seconds kResizeTime{10};

}  // namespace

absl::StatusOr<int> ExecProcess::wait(const plugins::Operation& op) const {
  auto exitCode = runtime_->waitExec(op, pod_, container_, id_);
  if (exitCode.ok()) return *exitCode;
  return support::annotate(exitCode.status(), strCat("exec in container ", container_));
}

absl::Status ExecProcess::resize(const plugins::Operation& op, WindowSize size) const {
  return runtime_->resize(op, pod_, container_, id_, size.rows, size.columns);
}

absl::StatusOr<ExecProcess> Engine::startExec(plugins::Operation& op, const Container& container,
                                              const ExecOptions& options) {
  BERTH_RETURN_IF_ERROR(op.cancellable());
  BERTH_ASSIGN_OR_RETURN(
      const boost::json::object process,
      support::parseJsonObject(
          container.peek([](const records::ContainerRecord& r) { return r.process(); }),
          "the container's process"));
  BERTH_ASSIGN_OR_RETURN(const boost::json::object added,
                         spec::execProcess(boost::json::object{{"process", process}},
                                           options.command, options.terminal));
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  op.setStage("start the command");
  const bool terminal = options.terminal == spec::Terminal::kYes;
  plugins::ExecSpec spec;
  spec.pod = container.pod().id();
  spec.container = container.id();
  spec.id = support::randomId();
  spec.process = boost::json::serialize(added);
  spec.terminal = terminal;
  spec.stdinFd = options.streams.input;
  spec.stdoutFd = options.streams.output;
  spec.stderrFd = terminal ? -1 : options.streams.error;
  spec.rows = options.size.rows;
  spec.columns = options.size.columns;
  BERTH_RETURN_IF_ERROR(runtime->startExec(op, spec));
  return ExecProcess(runtime, spec.pod, spec.container, spec.id);
}

absl::StatusOr<std::unique_ptr<RunningExec>> Engine::exec(const std::string& id,
                                                          const ExecOptions& options,
                                                          Deadline startBy) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findRunning(id, "exec in"));
  plugins::Operation op(strCat("exec in container ", container->id()), startBy);
  auto waiting = std::make_unique<plugins::Operation>(op.name());
  waiting->setStage("wait for the command to end");
  waiting->becomeSession();
  BERTH_RETURN_IF_ERROR(waiting->cancellable());
  BERTH_ASSIGN_OR_RETURN(ExecProcess process, startExec(op, *container, options));
  return std::make_unique<RunningExec>(*this, std::move(process), std::move(waiting));
}

// Shared with the thread that reaps an exec whose client is gone.
struct RunningExec::State {
  State(ExecProcess running, std::unique_ptr<plugins::Operation> waiting)
      : process(std::move(running)), op(std::move(waiting)) {}
  const ExecProcess process;
  const std::unique_ptr<plugins::Operation> op;
  std::atomic<bool> waitedFor = false;
};

RunningExec::RunningExec(Engine& engine, ExecProcess process,
                         std::unique_ptr<plugins::Operation> waiting)
    : engine_(engine), state_(std::make_shared<State>(std::move(process), std::move(waiting))) {}

RunningExec::~RunningExec() {
  state_->op->cancel();
  if (state_->waitedFor.exchange(true)) return;
  engine_.runLater([state = state_] { state->process.wait(*state->op).status().IgnoreError(); });
}

absl::StatusOr<int> RunningExec::wait() {
  if (state_->waitedFor.exchange(true)) {
    return absl::FailedPreconditionError(
        strCat("exec in container ", state_->process.container(), ": it was waited for before"));
  }
  const std::shared_ptr<State> state = state_;
  return state->process.wait(*state->op);
}

void RunningExec::cancel() {
  state_->op->cancel();
}

absl::Status RunningExec::resize(WindowSize size) {
  plugins::Operation op(
      strCat("resize the terminal of an exec in container ", state_->process.container()),
      Deadline::clock::now() + kResizeTime);
  return state_->process.resize(op, size);
}

}  // namespace berth::engine
