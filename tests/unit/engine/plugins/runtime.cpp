// A runtime that runs nothing: containers run once they were started or recovered, and commands
// until they are cancelled. It tells the log of what ends.
#include "berth/runtime.hpp"

#include <poll.h>
#include <string>

namespace {

using berth::Op;
using berth::Status;

class EngineRuntime : public berth::Runtime {
 public:
  using Runtime::Runtime;

  Status configure(std::string_view) override { return {}; }
  Status start() override { return {}; }
  void stop() override {}

  Status features(std::string& json) override {
    json = R"({"ociVersion": "1.0.2"})";
    return {};
  }
  Status podCreate(const Op&, const berth::PodSpec&, berth::PodBuilder&) override { return {}; }
  Status podStart(const Op&, std::string_view) override { return {}; }
  Status podStop(const Op&, std::string_view) override { return {}; }
  Status podRemove(const Op&, std::string_view) override { return {}; }
  // A pod's state is the id of its one container, which runs.
  Status podRecover(const Op&, std::string_view, std::string_view, std::string_view state,
                    StatusSink& out) override {
    berth_container_status status{};
    status.id = berth::str(state);
    status.state = BERTH_CONTAINER_RUNNING;
    status.pid = 4711;
    out.add(status);
    return {};
  }
  Status containerCreate(const Op&, const berth_container_spec&) override { return {}; }
  Status containerStart(const Op&, std::string_view, std::string_view,
                        berth_container_status& status) override {
    status.state = BERTH_CONTAINER_RUNNING;
    return {};
  }
  Status containerKill(const Op&, std::string_view, std::string_view, int, KillScope) override {
    return {};
  }
  Status containerWait(const Op&, std::string_view, std::string_view,
                       berth_container_status& status) override {
    status.state = BERTH_CONTAINER_EXITED;
    status.exit_code = 7;
    return {};
  }
  Status containerRemove(const Op&, std::string_view, std::string_view) override { return {}; }
  Status containerUpdate(const Op&, std::string_view, std::string_view, std::string_view) override {
    return {};
  }
  Status containerReopenLog(const Op&, std::string_view, std::string_view) override { return {}; }
  Status containerStats(const Op&, std::string_view, const std::vector<std::string_view>&,
                        StatsSink&) override {
    return {};
  }
  Status podStats(const Op&, std::string_view, StatsSink&) override { return {}; }
  Status execStart(const Op&, const berth_exec_spec&) override {
    host().info("exec started");
    return {};
  }
  Status execWait(const Op& op, std::string_view, std::string_view, std::string_view,
                  int32_t&) override {
    pollfd cancelled{op.cancelFd(), POLLIN, 0};
    ::poll(&cancelled, 1, -1);
    host().info("exec ended");
    return Status(BERTH_CANCELLED, "cancelled");
  }
  Status resize(const Op&, std::string_view, std::string_view, std::string_view, uint32_t,
                uint32_t) override {
    return {};
  }
  Status attach(const Op&, std::string_view, std::string_view, int, int, int) override {
    return {};
  }
};

}  // namespace

BERTH_PLUGIN(EngineRuntime, {.name = "test-engine-runtime",
                             .version = "1.0.0",
                             .summary = "for tests",
                             .threading = BERTH_THREADING_PARALLEL,
                             .options = ""})
