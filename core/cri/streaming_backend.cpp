#include "cri/streaming_backend.hpp"

#include "berth/support/status.hpp"

namespace berth::cri {

namespace {

// How long what a client waits for may take. Starting a process runs the OCI runtime, which a busy
// host delays; the others are answered from memory.
constexpr std::chrono::seconds kStartTime{60};
constexpr std::chrono::seconds kCallTime{10};

engine::Deadline in(std::chrono::seconds time) {
  return engine::Deadline::clock::now() + time;
}

engine::WindowSize windowSize(streaming::TerminalSize size) {
  return {size.columns, size.rows};
}

class Execution final : public streaming::Execution {
 public:
  explicit Execution(std::unique_ptr<engine::RunningExec> exec) : exec_(std::move(exec)) {}
  absl::StatusOr<int> wait() override { return exec_->wait(); }
  void cancel() override { exec_->cancel(); }
  absl::Status resize(streaming::TerminalSize size) override {
    return exec_->resize(windowSize(size));
  }

 private:
  const std::unique_ptr<engine::RunningExec> exec_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<streaming::Execution>> StreamingBackend::exec(
    const streaming::ExecRequest& request, const streaming::ProcessEnds& ends) {
  engine::ExecOptions options;
  options.command = request.command;
  options.terminal = request.terminal ? spec::Terminal::kYes : spec::Terminal::kNo;
  options.size = windowSize(request.size);
  options.streams = {ends.input, ends.output, ends.error};
  BERTH_ASSIGN_OR_RETURN(std::unique_ptr<engine::RunningExec> exec,
                         engine_.exec(request.containerId, options, in(kStartTime)));
  return std::make_unique<Execution>(std::move(exec));
}

absl::Status StreamingBackend::attach(const streaming::AttachRequest& request,
                                      const streaming::ProcessEnds& ends) {
  return engine_.attach(request.containerId, {ends.input, ends.output, ends.error}, in(kCallTime));
}

absl::Status StreamingBackend::resizeContainer(const std::string& containerId,
                                               streaming::TerminalSize size) {
  return engine_.resizeContainer(containerId, windowSize(size), in(kCallTime));
}

absl::StatusOr<support::Fd> StreamingBackend::connect(const std::string& podId, uint16_t port) {
  return engine_.connectPort(podId, port, in(kCallTime));
}

}  // namespace berth::cri
