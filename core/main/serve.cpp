// `berth serve`: the daemon.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <optional>
#include <sys/file.h>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

#include <absl/cleanup/cleanup.h>
#include <boost/json.hpp>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"
#include "common/open_files.hpp"
#include "common/refusal.hpp"
#include "common/service_manager.hpp"
#include "common/start_memory.hpp"
#include "cri/plugin_list.hpp"
#include "cri/streaming_backend.hpp"
#include "engine/volumes/mapped_mounts.hpp"
#include "images/credentials.hpp"
#include "main/admin_service.hpp"
#include "main/daemon_socket.hpp"
#include "main/examination.hpp"
#include "main/folder_ties.hpp"
#include "main/image_admin.hpp"
#include "main/interruption.hpp"
#include "main/live_metrics.hpp"
#include "main/options.hpp"
#include "main/stage_limit.hpp"
#include "main/surroundings.hpp"
#include "main/watchdog.hpp"
#include "main/wiring.hpp"
#include "store/salvage.hpp"

namespace berth::program {

using support::strCat;

namespace {

// Of the stages of the daemon's end: calls are cancelled, and each plugin is stopped. A plugin's is
// promised in berth/plugin.h. One that hangs leaves time before a service manager loses patience.
constexpr std::chrono::seconds kCallsTime{30};
constexpr std::chrono::seconds kPluginTime{10};
// What the start does by itself, as a rule within milliseconds.
constexpr std::chrono::seconds kOwnTime{120};
// For the daemon to end by itself, before the service manager does it.
constexpr std::chrono::seconds kLateness{10};

// SIGTERM and SIGINT end the daemon, SIGHUP has it read its configuration anew; they are blocked in
// every thread and waited for here.
sigset_t awaitedSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

// The next of the awaited signals; 0 when none has come within `limit`.
int nextSignal(std::optional<std::chrono::nanoseconds> limit) {
  const sigset_t signals = awaitedSignals();
  if (!limit) {
    int number = 0;
    ::sigwait(&signals, &number);
    return number;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*limit);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (*limit - seconds).count()};
  return std::max(::sigtimedwait(&signals, nullptr, &time), 0);
}

int awaitEnd(Reloader& reloader, Watchdog& watchdog) {
  for (;;) {
    const int number = nextSignal(watchdog.pause());
    if (number == SIGHUP) {
      // Not here: it may take its time, and neither the end nor the watchdog's beats wait for it.
      reloader.reloadBeside();
    } else if (number != 0) {
      return number;
    }
    watchdog.beat();
  }
}

void warnWhenUntold(const absl::Status& told) {
  if (!told.ok())
    common::logWarning("the service manager was not told",
                       {{"error", std::string(told.message())}});
}

// Nothing is served yet, and what the start waits for may hang. As if it had crashed, which harms
// nothing: the next start sees to what this one has left.
void endEarly(const std::string& stage, const common::ServiceManager& manager) {
  common::logInfo("ending before anything is served; what the start is at is not waited for",
                  {{"waited_for", stage}});
  manager.stopping("ending before anything is served").IgnoreError();
  ::_exit(0);
}

// One daemon for one root, and for one state: to another one its pods would be without a record,
// and so to be ended. Held until the process ends, however it ends.
absl::StatusOr<support::Fd> lockDirectory(const std::string& directory) {
  // A process that a killed daemon was about to start holds it until it executes its program.
  constexpr auto kPatience = std::chrono::seconds(2);
  constexpr auto kLookAgain = std::chrono::milliseconds(10);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const std::string path = strCat(directory, "/berthd.lock");
  BERTH_ASSIGN_OR_RETURN(support::Fd lock, support::openFile(path, O_RDWR | O_CREAT, 0600));
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() > until)
      return absl::FailedPreconditionError(strCat(
          "another berthd uses ", directory, "; stop it first, or set another root and state"));
    std::this_thread::sleep_for(kLookAgain);
  }
  return lock;
}

plugins::HostServices hostServices(const config::Config& config,
                                   std::atomic<engine::Engine*>& engine) {
  plugins::HostServices services;
  services.root = config.root;
  services.state = config.state;
  services.log = [](berth_log_level level, std::string_view instance, std::string_view message,
                    const plugins::LogFields& fields) {
    std::vector<common::LogField> all{{"plugin", instance}};
    all.insert(all.end(), fields.begin(), fields.end());
    common::log(level <= BERTH_LOG_DEBUG     ? common::LogLevel::kDebug
                : level == BERTH_LOG_INFO    ? common::LogLevel::kInfo
                : level == BERTH_LOG_WARNING ? common::LogLevel::kWarning
                                             : common::LogLevel::kError,
                message, all);
  };
  services.event = [&engine](std::string_view, plugins::Event event) {
    if (engine::Engine* target = engine.load()) target->deliver(std::move(event));
  };
  services.saveState = [&engine](std::string_view kind, std::string_view instance,
                                 std::string_view object, std::string_view state) -> absl::Status {
    engine::Engine* target = engine.load();
    if (target == nullptr) return absl::UnavailableError("the daemon is starting or ending");
    return target->savePluginState(kind, instance, std::string(object), state);
  };
  services.credentials = [](const support::RunLimits& limits, std::string_view registry,
                            const std::function<void(const berth_credentials&)>& found) {
    const auto warn = [](std::string_view reason) {
      common::logWarning("credentials cannot be looked up everywhere", {{"error", reason}});
    };
    return images::findCredentials({images::credentialFiles(), limits, warn}, registry, found);
  };
  return services;
}

void warnOfUnused(const plugins::Form& form) {
  for (const std::string& id : cri::unusedExtensions(form)) {
    common::logWarning("a plugin offers what no part of the engine uses",
                       {{"plugin", form.instance->name()}, {"extension", id}});
  }
}

void tellOfLeftOut(const plugins::Registry& registry) {
  for (const plugins::Failure& failure : registry.failures()) {
    common::logError(
        "a runtime is out of service: it cannot start, and its pods are left as they are",
        {{"runtime", failure.wanted.name}, {"error", std::string(failure.status.message())}});
  }
}

// For verbose status.
std::string configurationJson(const config::Config& config) {
  boost::json::object document = config::toJson(config);
  // Under the names that containerd has for them, which tools look for.
  document["rootDir"] = config.root;
  document["stateDir"] = config.state;
  return boost::json::serialize(document);
}

// Opens the daemon to its clients until a signal; afterwards nobody is served any more.
absl::Status serveUntilSignal(const config::Config& config, Reloader& reloader,
                              engine::Engine& engine, const KeptThings& kept,
                              telemetry::Telemetry& telemetry,
                              const common::ServiceManager& manager, StageLimit& limit,
                              Interruption& early) {
  limit.expect("clients to be let in", kOwnTime);
  cri::StreamingBackend backend(engine);
  auto streaming = streaming::Server::start(streamingSettings(config), backend);
  if (!streaming.ok())
    return config::atKey(
        config, absl::IsAlreadyExists(streaming.status()) ? "streaming.port" : "streaming.address",
        support::annotate(streaming.status(), "serve streams"));
  engine::Readiness readiness(engine::needsOfPods(engine, kept.store));
  cri::RuntimeService runtimeService(engine, readiness, **streaming, configurationJson(config));
  cri::ImageService imageService(kept.images, engine, imageSettings(config));
  AdminService adminService(reloader, kept, telemetry.timelines(), engine);
  ImageAdmin imageAdmin(kept.images, imageSettings(config));
  BERTH_RETURN_IF_ERROR(checkMetricsPort(config));
  BERTH_ASSIGN_OR_RETURN(const auto metrics,
                         ServedMetrics::start(config.metrics, telemetry, engine, kept.images));
  BERTH_ASSIGN_OR_RETURN(const cri::ServerSettings settings, serverSettings(config));
  BERTH_ASSIGN_OR_RETURN(const std::unique_ptr<cri::Server> server,
                         cri::Server::start(settings, runtimeService, imageService,
                                            {&adminService, &imageAdmin}, callCounter(telemetry)));
  if (const absl::Status told = tellOfSocket(config.state, config.grpc.socket); !told.ok())
    common::logWarning("commands look for the daemon where the configuration says",
                       {{"error", std::string(told.message())}});
  limit.end();
  early.end();
  common::releaseStartMemory();
  common::logInfo("serving",
                  {{"socket", config.grpc.socket},
                   {"streaming", strCat(config.streaming.address, " port ", (*streaming)->port())},
                   {"version", BERTH_VERSION}});
  warnWhenUntold(manager.ready(strCat("serving ", config.grpc.socket)));
  Watchdog watchdog(manager, config.grpc.socket);
  const int number = awaitEnd(reloader, watchdog);
  common::logInfo("ending; pods go on", {{"signal", ::strsignal(number)}});
  warnWhenUntold(manager.stopping("ending; pods go on"));
  limit.begin("calls", kCallsTime);
  engine.endSubscriptions();
  server->stop([&engine] { engine.operations().cancelAll(); });
  return absl::OkStatus();
}

void stopPlugins(plugins::Registry& registry, StageLimit& limit) {
  registry.stop([&limit](const std::string& next) { limit.begin(next, kPluginTime); });
  limit.begin("plugins to be destroyed", kPluginTime);
}

std::string recordsIn(const std::string& database) {
  const auto counts = store::countRecords(database);
  if (!counts.ok()) return counts.status().ToString();
  std::string text;
  for (const auto& [kind, count] : *counts)
    text += strCat(text.empty() ? "" : ", ", count, " of kind ", kind);
  return text.empty() ? "nothing" : text;
}

// Starts everything, serves until a signal, and stops in reverse order.
absl::Status run(const config::Paths& paths, const config::Config& config,
                 const common::ServiceManager& manager, StageLimit& limit, Interruption& early) {
  BERTH_RETURN_IF_ERROR(demandRoot());
  BERTH_ASSIGN_OR_RETURN(common::HostFacts host, common::collectHostFacts());
  BERTH_RETURN_IF_ERROR(demandKernel(host));
  BERTH_RETURN_IF_ERROR(demandCgroups(host));
  // As `berth config check` does, so that both refuse the same.
  for (const Surrounding& one : checkSurroundings(config)) BERTH_RETURN_IF_ERROR(one.status);
  BERTH_RETURN_IF_ERROR(config::atKey(config, "log.file", common::setUpLog(logSettings(config))));
  BERTH_RETURN_IF_ERROR(config::atKey(config, "root", support::makeDirectories(config.root, 0711)));
  BERTH_RETURN_IF_ERROR(
      config::atKey(config, "state", support::makeDirectories(config.state, 0711)));
  BERTH_ASSIGN_OR_RETURN(const support::Fd rootLock, lockDirectory(config.root));
  BERTH_ASSIGN_OR_RETURN(const support::Fd stateLock, lockDirectory(config.state));
  // A full disk is no reason not to start.
  if (const absl::Status tied = tieFolders(config.root, config.state); !tied.ok()) {
    common::logWarning(
        "it is not noted which root and state belong together: a start with another one would not "
        "be refused",
        {{"error", std::string(tied.message())}});
  }
  host.idmappedMounts = host.userNamespaces && volumes::idMappingWorks(config.root);
  if (!host.hasSysResource()) {
    common::logWarning(
        "CAP_SYS_RESOURCE is missing: oom_score_adj and rlimits beyond the daemon's own, and "
        "capabilities it lacks, are clamped");
  }
  BERTH_ASSIGN_OR_RETURN(engine::Settings settings, engineSettings(config, host));
  BERTH_ASSIGN_OR_RETURN(engine::Preferences preferences, enginePreferences(config, host));
  images::Options imagesWanted = imageOptions(config);
  BERTH_ASSIGN_OR_RETURN(const auto policy, signaturePolicy(config));
  imagesWanted.policy = policy;

  limit.expect("the database to be opened and checked", kOwnTime);
  std::string setAside;
  const std::string database = strCat(config.root, "/berth.db");
  BERTH_ASSIGN_OR_RETURN(const std::unique_ptr<store::Store> store,
                         store::Store::open(database, setAside));
  if (!setAside.empty()) {
    common::logError(
        "the database was damaged; it is set aside, and one of what could be read takes "
        "its place: other records may be missing",
        {{"file", setAside}, {"kept", recordsIn(database)}});
  }
  telemetry::Telemetry& telemetry = startTelemetry(config.metrics);
  const absl::Cleanup closing = [&limit] { limit.expect("the database to be closed", kOwnTime); };
  std::atomic<engine::Engine*> current{nullptr};
  const plugins::HostServices services = hostServices(config, current);
  plugins::Registry registry(config.pluginDirs, services);
  const auto limitStart = [&limit](const std::string& next) { limit.begin(next, kStartTime); };
  BERTH_RETURN_IF_ERROR(registry.load(wantedPlugins(config), limitStart));
  BERTH_RETURN_IF_ERROR(registry.start(limitStart));
  tellOfLeftOut(registry);
  for (const auto& form : registry.serving()) warnOfUnused(*form);
  limit.begin("snapshotters to list their unpacked layers", kStartTime);
  auto opened =
      images::ImageService::open(std::move(imagesWanted), registry, *store,
                                 [](std::string_view message) { common::logError(message); });
  if (!opened.ok()) {
    stopPlugins(registry, limit);
    return opened.status();
  }
  const std::unique_ptr<images::ImageService> images = *std::move(opened);
  limit.expect("pods to be found again", kOwnTime);
  auto engine = std::make_unique<engine::Engine>(std::move(settings), std::move(preferences),
                                                 registry, *images, *store, std::move(host));
  current = engine.get();
  const absl::Cleanup forget = [&current] { current = nullptr; };
  Reloader reloader(paths, config, policy, *engine, *images, registry);
  const KeptThings kept{database, *store, *images};
  // What is thrown does not keep plugins from being stopped.
  const absl::Status status = support::returnThrown([&] {
    BERTH_RETURN_IF_ERROR(engine->recover());
    return serveUntilSignal(config, reloader, *engine, kept, telemetry, manager, limit, early);
  });
  limit.begin("calls", kCallsTime);
  engine->finish();
  limit.begin("work in the background", kCallsTime);
  images->finish();
  reloader.finish();
  stopPlugins(registry, limit);
  return status;
}

int failStart(const absl::Status& status) {
  const int plain = fail(status);
  return common::isRefusal(status) ? common::kRefusedExit : plain;
}

}  // namespace

int serve(const ConfigOptions& options) {
  // Before any thread: all inherit the mask.
  const sigset_t signals = awaitedSignals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const auto manager = common::ServiceManager::fromEnvironment();
  common::raiseOpenFiles();
  // Few arenas: threads come and go, and each arena keeps what it once had (mallopt(3)).
  ::mallopt(M_ARENA_MAX, 2);
  // It outlives all that it limits.
  StageLimit limit(
      StageLimit::endProcess,
      {.begun =
           [&](const std::string& stage, auto time) {
             // What cannot be told is warned of once, when it is told of serving.
             manager.working(strCat("waits for ", stage), time + kLateness).IgnoreError();
           },
       .lasts =
           [](const std::string& stage) {
             common::logWarning("the daemon's start or end takes long", {{"waits_for", stage}});
           }});
  Interruption early([&] { endEarly(limit.stage(), manager); }, {SIGTERM, SIGINT});
  const config::Paths paths = pathsOf(options);
  auto loaded = config::load(paths);
  if (!loaded.ok()) return failStart(loaded.status());
  // What is made at start throws when there is no memory or no thread for it.
  const absl::Status status =
      support::returnThrown([&] { return run(paths, *loaded, manager, limit, early); });
  if (status.ok()) return 0;
  common::logError("cannot serve", {{"error", std::string(status.message())}});
  return failStart(status);
}

}  // namespace berth::program
