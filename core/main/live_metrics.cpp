#include "main/live_metrics.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "main/daemon_status.hpp"
#include "plugins/operation.hpp"

namespace berth::program {

namespace v1 = runtime::v1;
using support::strCat;
using telemetry::Reading;

namespace {

void add(std::vector<Reading>& readings, std::string name, std::string help,
         std::vector<std::pair<std::string, std::string>> labels, double value) {
  readings.push_back({std::move(name), std::move(help), std::move(labels), value});
}

std::string readinessOf(v1::PodSandboxState state) {
  return state == v1::SANDBOX_READY ? "ready" : "not_ready";
}

std::vector<Reading> readObjects(const engine::Engine& engine, const images::ImageService& images) {
  std::vector<Reading> readings;
  // Each state has a number, so that its series does not end when the last one leaves it.
  engine::StateCounts counts = engine.countStates();
  for (const auto state : {v1::SANDBOX_READY, v1::SANDBOX_NOTREADY})
    add(readings, "berth_pods", "Pod sandboxes, by their state.", {{"state", readinessOf(state)}},
        counts.pods[state]);
  for (const auto state :
       {v1::CONTAINER_CREATED, v1::CONTAINER_RUNNING, v1::CONTAINER_EXITED, v1::CONTAINER_UNKNOWN})
    add(readings, "berth_containers", "Containers, by their state.", {{"state", wordOf(state)}},
        counts.containers[state]);
  add(readings, "berth_images", "Images of this node.", {},
      static_cast<double>(images.list().size()));
  return readings;
}

std::vector<Reading> readLayers(const images::ImageService& images) {
  const images::LayerFigures layers = images.layerFigures();
  std::vector<Reading> readings;
  const auto counted = [&](const char* name, const char* help, uint64_t count) {
    readings.push_back({name, help, {}, static_cast<double>(count), true});
  };
  counted("berth_fetched_layers_total", "Layers that pulls have fetched.", layers.fetched);
  counted("berth_fetched_layer_bytes_total", "Bytes of those, as they were transferred.",
          layers.fetchedBytes);
  const auto waiting = [&](const char* turn, size_t count) {
    add(readings, "berth_waiting_layers", "Layers whose turn has not come, by what it is at.",
        {{"turn", turn}}, static_cast<double>(count));
  };
  waiting("download", layers.waitingForDownload);
  waiting("unpack", layers.waitingForUnpack);
  return readings;
}

// What is under way, by kind. A kind that there has been once stays, with zeroes.
class RunningWork {
 public:
  void read(std::vector<Reading>& readings) {
    struct Kind {
      int count = 0;
      std::chrono::milliseconds oldest{0};
    };
    std::map<std::string, Kind> kinds;
    int sessions = 0;
    for (const plugins::RunningOperation& one : plugins::runningOperations()) {
      if (one.session) {
        ++sessions;
        continue;
      }
      Kind& kind = kinds[plugins::operationKind(one.name)];
      ++kind.count;
      kind.oldest = std::max(kind.oldest, one.age);
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [name, kind] : kinds) known_.insert(name);
    for (const std::string& name : known_) {
      const Kind& kind = kinds[name];
      add(readings, "berth_operations", "Operations that are under way, without sessions.",
          {{"operation", name}}, kind.count);
      add(readings, "berth_oldest_operation_seconds", "For how long the oldest of them has been.",
          {{"operation", name}}, std::chrono::duration<double>(kind.oldest).count());
    }
    add(readings, "berth_exec_sessions",
        "Commands in containers that clients are connected to, and end when they want.", {},
        sessions);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> known_{plugins::operationKind("")};
};

std::vector<Reading> readWork(const engine::Engine& engine, RunningWork& running) {
  std::vector<Reading> readings;
  running.read(readings);
  const common::Workers::Load load = engine.load();
  add(readings, "berth_worker_threads", "Threads for work that blocks.", {{"state", "busy"}},
      static_cast<double>(load.threads - load.idle));
  add(readings, "berth_worker_threads", "Threads for work that blocks.", {{"state", "idle"}},
      static_cast<double>(load.idle));
  add(readings, "berth_waiting_work", "Work for which there is no thread.", {},
      static_cast<double>(load.waiting));
  const common::Problems problems = common::problems();
  const auto logged = [&](const char* level, uint64_t count) {
    readings.push_back({"berth_log_messages_total",
                        "Warnings and errors that were logged.",
                        {{"level", level}},
                        static_cast<double>(count),
                        true});
  };
  logged("warning", problems.warnings);
  logged("error", problems.errors);
  return readings;
}

}  // namespace

telemetry::Telemetry& startTelemetry(const config::Metrics& settings) {
  // Never destroyed: operations may end at the very end of the process.
  static auto* const telemetry = new telemetry::Telemetry(settings.port != 0);
  plugins::setObserver(telemetry);
  return *telemetry;
}

absl::StatusOr<std::unique_ptr<ServedMetrics>> ServedMetrics::start(
    const config::Metrics& settings, telemetry::Telemetry& telemetry, const engine::Engine& engine,
    const images::ImageService& images) {
  telemetry::Metrics* const metrics = telemetry.metrics();
  std::unique_ptr<ServedMetrics> served(new ServedMetrics(metrics));
  if (metrics == nullptr) return served;
  metrics->addSource([] {
    return std::vector<Reading>{{"berth_build_info", "Always 1.", {{"version", BERTH_VERSION}}, 1}};
  });
  metrics->addSource([&engine, &images] { return readObjects(engine, images); });
  metrics->addSource([&images] { return readLayers(images); });
  metrics->addSource(
      [&engine, running = std::make_shared<RunningWork>()] { return readWork(engine, *running); });
  metrics->addSource(telemetry::readProcess);
  const bool six = settings.address.find(':') != std::string::npos;
  const std::string host = six ? strCat("[", settings.address, "]") : settings.address;
  BERTH_RETURN_IF_ERROR(metrics->serve(strCat(host, ":", settings.port)));
  return served;
}

ServedMetrics::~ServedMetrics() {
  if (metrics_ != nullptr) metrics_->stop();
}

cri::CallEnded callCounter(telemetry::Telemetry& telemetry) {
  telemetry::Metrics* const metrics = telemetry.metrics();
  if (metrics == nullptr) return {};
  return [metrics](const cri::EndedCall& call) {
    metrics->countCall(call.path, call.code, call.took, call.stream);
  };
}

}  // namespace berth::program
