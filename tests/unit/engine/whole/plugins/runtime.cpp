#include "berth/runtime.hpp"

#include <string>
#include <string_view>

#include "../world.hpp"
#include "berth/extensions.hpp"

namespace {

using berth::Op;
using berth::Status;
using berth::testing::Answer;
using berth::testing::ContainerFact;
using berth::testing::World;

class TestRuntime : public berth::Runtime,
                    public berth::Extensions<berth::RuntimeCheckpoint, berth::RuntimePause> {
 public:
  static constexpr std::string_view kCheckpointFormat = "test";
  using Runtime::Runtime;

  Status configure(std::string_view options) override {
    world_ = &berth::testing::worldOf(options);
    return {};
  }
  Status start() override {
    const Answer answer = world_->ask(host(), "start", {});
    if (answer.until.valid()) answer.until.wait();
    return Status(answer.code, answer.message);
  }
  Status features(std::string& json) override {
    json = R"({"ociVersion": "1.0.2"})";
    return {};
  }
  Status podCreate(const Op& op, const berth::PodSpec& spec, berth::PodBuilder& out) override {
    if ((spec.raw.new_namespaces & BERTH_NAMESPACE_NETWORK) != 0) {
      out.setNamespace(BERTH_NAMESPACE_NETWORK, "/proc/self/ns/net");
    }
    return world_->answer(host(), op, "pod_create", spec.id);
  }
  Status podStart(const Op& op, std::string_view pod) override {
    return world_->answer(host(), op, "pod_start", pod);
  }
  Status podStop(const Op& op, std::string_view pod) override {
    return world_->answer(host(), op, "pod_stop", pod);
  }
  Status podRemove(const Op& op, std::string_view pod) override {
    return world_->answer(host(), op, "pod_remove", pod);
  }
  Status podRecover(const Op& op, std::string_view pod, std::string_view, std::string_view state,
                    StatusSink& out) override {
    const Answer answer = world_->ask(host(), "pod_recover", pod, std::string(state));
    for (const ContainerFact& fact : answer.containers) {
      berth_container_status status{};
      status.id = berth::str(fact.id);
      status.message = berth::str(fact.message);
      fill(fact, status);
      out.add(status);
    }
    return World::result(op, answer);
  }
  Status containerCreate(const Op& op, const berth_container_spec& spec) override {
    return world_->answer(host(), op, "container_create", berth::view(spec.id));
  }
  Status containerStart(const Op& op, std::string_view, std::string_view container,
                        berth_container_status& status) override {
    const Answer answer = world_->ask(host(), "container_start", container);
    status.started_at = 1;
    if (!answer.containers.empty()) status.pid = answer.containers.front().pid;
    return World::result(op, answer);
  }
  Status containerKill(const Op& op, std::string_view, std::string_view container, int signal,
                       KillScope) override {
    return world_->answer(host(), op, "container_kill", container, std::to_string(signal));
  }
  Status containerWait(const Op& op, std::string_view, std::string_view container,
                       berth_container_status& status) override {
    const Answer answer = world_->ask(host(), "container_wait", container);
    if (!answer.containers.empty()) fill(answer.containers.front(), status);
    return World::result(op, answer);
  }
  Status containerRemove(const Op& op, std::string_view, std::string_view container) override {
    return world_->answer(host(), op, "container_remove", container);
  }
  Status containerUpdate(const Op&, std::string_view, std::string_view, std::string_view) override {
    return {};
  }
  Status containerReopenLog(const Op&, std::string_view, std::string_view) override { return {}; }
  Status containerStats(const Op&, std::string_view, const std::vector<std::string_view>&,
                        StatsSink&) override {
    return {};
  }
  Status podStats(const Op&, std::string_view, StatsSink&) override { return {}; }
  Status execStart(const Op& op, const berth_exec_spec& spec) override {
    return world_->answer(host(), op, "exec_start", berth::view(spec.container));
  }
  Status execWait(const Op& op, std::string_view, std::string_view container, std::string_view,
                  int32_t&) override {
    Status ended = world_->answer(host(), op, "exec_wait", container);
    world_->ask(host(), "exec_ended", container);
    return ended;
  }
  Status resize(const Op&, std::string_view, std::string_view, std::string_view, uint32_t,
                uint32_t) override {
    return {};
  }
  Status attach(const Op&, std::string_view, std::string_view, int, int, int) override {
    return {};
  }
  Status pause(const Op&, std::string_view, std::string_view) override { return {}; }
  Status resume(const Op&, std::string_view, std::string_view) override { return {}; }
  // One that hangs heeds no cancellation.
  Status checkCheckpoints(const Op&) override {
    const Answer answer = world_->ask(host(), "check_checkpoints", {});
    if (answer.until.valid()) answer.until.wait();
    return Status(BERTH_FAILED_PRECONDITION, "none in tests");
  }
  Status checkpoint(const Op&, const berth_checkpoint_spec&) override { return {}; }
  Status restore(const Op&, const berth_restore_spec&, berth_container_status&) override {
    return {};
  }

 private:
  static void fill(const ContainerFact& fact, berth_container_status& status) {
    status.state = fact.state;
    status.exit_code = fact.exitCode;
    status.started_at = fact.startedAt;
    status.pid = fact.pid;
  }

  World* world_ = nullptr;
};

}  // namespace

BERTH_PLUGIN(TestRuntime, {.name = "engine-test-runtime",
                           .version = "1.0.0",
                           .summary = "for tests",
                           .threading = BERTH_THREADING_PARALLEL,
                           .options = berth::testing::kWorldOption})
