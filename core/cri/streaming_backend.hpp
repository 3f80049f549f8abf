// What the streaming server serves, by the engine.
#pragma once

#include "engine/engine.hpp"
#include "streaming/backend.hpp"

namespace berth::cri {

// Thread-safe. `engine` must outlive it, and what it has started.
class StreamingBackend final : public streaming::Backend {
 public:
  explicit StreamingBackend(engine::Engine& engine) : engine_(engine) {}

  absl::StatusOr<std::unique_ptr<streaming::Execution>> exec(
      const streaming::ExecRequest& request, const streaming::ProcessEnds& ends) override;
  absl::Status attach(const streaming::AttachRequest& request,
                      const streaming::ProcessEnds& ends) override;
  absl::Status resizeContainer(const std::string& containerId,
                               streaming::TerminalSize size) override;
  absl::StatusOr<support::Fd> connect(const std::string& podId, uint16_t port) override;

 private:
  engine::Engine& engine_;
};

}  // namespace berth::cri
