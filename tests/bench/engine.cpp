#include "engine.hpp"

#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <poll.h>
#include <signal.h>
#include <thread>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "procfs.hpp"

namespace berth::bench {
namespace {

constexpr std::chrono::seconds kStartLimit{60};
constexpr int kStopLimitMilliseconds = 20000;
// Fine enough for a figure in milliseconds, coarse enough to leave the CPUs to the engine.
constexpr std::chrono::microseconds kPollInterval{500};

bool ended(const support::Process& process, int limitMilliseconds) {
  pollfd awaited{process.pidfd(), POLLIN, 0};
  return ::poll(&awaited, 1, limitMilliseconds) == 1;
}

std::vector<std::string> environmentWith(const std::string& mark) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.push_back(mark);
  return environment;
}

}  // namespace

Engine::Engine(EngineSpec spec, int index, const Options& options, Workspace& workspace,
               Interrupt& interrupt)
    : spec_(std::move(spec)),
      index_(index),
      options_(options),
      workspace_(workspace),
      interrupt_(interrupt),
      layout_{absl::StrCat(workspace.directory(), "/", spec_.name)},
      socket_(owned() ? layout_.socket() : spec_.socket) {}

absl::StatusOr<std::unique_ptr<Engine>> Engine::create(const EngineSpec& spec, int index,
                                                       const Options& options, Workspace& workspace,
                                                       Interrupt& interrupt) {
  std::unique_ptr<Engine> engine(new Engine(spec, index, options, workspace, interrupt));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(engine->layout_.directory, 0711));
  if (engine->owned()) {
    BERTH_RETURN_IF_ERROR(engine->configure());
    BERTH_RETURN_IF_ERROR(engine->start().status());
  } else {
    BERTH_RETURN_IF_ERROR(engine->attach());
  }
  BERTH_RETURN_IF_ERROR(support::annotate(engine->awaitReady(), spec.name));
  BERTH_ASSIGN_OR_RETURN(const EngineVersion version,
                         engine->client().version(std::chrono::seconds(10)));
  engine->description_ = absl::StrCat(version.name, " ", version.version);
  if (!spec.handler.empty()) absl::StrAppend(&engine->description_, ", handler ", spec.handler);
  return engine;
}

Engine::~Engine() {
  support::StatusCollector problems;
  if (cleaner_ != nullptr) problems.add(removePods());
  if (process_.pid() > 0) {
    noteShimSockets();
    problems.add(stop(SIGTERM));
  }
  if (!problems.ok()) {
    std::cerr << "berth-bench: clean-up of " << name() << ": " << problems.status().message()
              << "\n";
  }
}

PodSpec Engine::podSpec(PodNetwork network) {
  const std::string pod = absl::StrCat("bench-", workspace_.tag(), "-", index_, "-", ++pods_);
  return {.name = pod,
          .run = workspace_.tag(),
          .network = network,
          .handler = spec_.handler,
          .logDirectory = absl::StrCat(layout_.directory, "/logs/", pod),
          .cgroupParent = workspace_.cgroupParent(),
          .image = options_.image};
}

absl::Status Engine::attach() {
  if (spec_.pid.has_value()) {
    pid_ = *spec_.pid;
  } else {
    BERTH_ASSIGN_OR_RETURN(pid_, listenerPid(socket_));
  }
  connect();
  return absl::OkStatus();
}

absl::Status Engine::configure() {
  for (const std::string& directory :
       {layout_.root(), layout_.cniConfDirectory(), layout_.registryDirectory()}) {
    BERTH_RETURN_IF_ERROR(support::makeDirectories(directory, 0711));
  }
  BERTH_RETURN_IF_ERROR(workspace_.makeStateFolder(layout_.state()));
  const auto write = [](const std::string& path, const std::string& content) {
    return support::replaceFile(path, content, 0644, support::Durability::kVisible);
  };
  const std::string network = cniConflist(workspace_.bridgeName(), options_.subnet, index_,
                                          absl::StrCat(layout_.directory, "/ipam"));
  BERTH_RETURN_IF_ERROR(write(layout_.cniConfDirectory() + "/10-bench.conflist", network));
  if (spec_.kind == EngineKind::kBerth) {
    return write(layout_.configFile(), berthConfig(layout_, options_, spec_.handler));
  }
  for (const RegistryMirror& registry : options_.registries) {
    const std::string directory = absl::StrCat(layout_.registryDirectory(), "/", registry.host);
    BERTH_RETURN_IF_ERROR(support::makeDirectories(directory));
    BERTH_RETURN_IF_ERROR(write(directory + "/hosts.toml", containerdHosts(registry)));
  }
  return write(layout_.configFile(), containerdConfig(layout_, options_));
}

absl::StatusOr<StartTimes> Engine::start() {
  BERTH_ASSIGN_OR_RETURN(const support::Fd log,
                         support::openFile(layout_.logFile(), O_WRONLY | O_CREAT | O_APPEND));
  const Clock::time_point begin = Clock::now();
  const Clock::time_point deadline = begin + kStartLimit;
  BERTH_ASSIGN_OR_RETURN(
      process_, support::spawn({.argv = {spec_.binary, "--config", layout_.configFile()},
                                .environment = environmentWith(workspace_.environmentMark()),
                                .standardOutput = log.get(),
                                .standardError = log.get(),
                                // Ctrl-C is for the bench, which then stops it in order.
                                .newSession = true}));
  pid_ = process_.pid();
  BERTH_RETURN_IF_ERROR(awaitSocket(deadline));
  connect();
  StartTimes times;
  while (true) {
    const bool known = times.untilVersion != Clock::duration{};
    const absl::Status served = known ? client_->listPods(workspace_.tag()).status()
                                      : client_->version(std::chrono::seconds(10)).status();
    if (served.ok() && known) break;
    if (served.ok()) {
      times.untilVersion = Clock::now() - begin;
      continue;
    }
    // Engines listen before all of their services are there.
    BERTH_RETURN_IF_ERROR(checkAlive());
    if (Clock::now() > deadline) return support::annotate(served, absl::StrCat("start ", name()));
    std::this_thread::sleep_for(kPollInterval);
  }
  times.untilList = Clock::now() - begin;
  return times;
}

absl::Status Engine::awaitSocket(Clock::time_point deadline) {
  while (!listenerPid(socket_).ok()) {
    BERTH_RETURN_IF_ERROR(checkAlive());
    if (Clock::now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("start ", name(), ": nothing listens on ", socket_,
                       " after a minute; its log ends: ", logTail()));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return absl::OkStatus();
}

absl::Status Engine::awaitReady() {
  const Clock::time_point deadline = Clock::now() + kStartLimit;
  absl::Status status = client_->ready();
  while (!status.ok() && owned() && Clock::now() < deadline) {
    BERTH_RETURN_IF_ERROR(checkAlive());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    status = client_->ready();
  }
  return status;
}

absl::Status Engine::checkAlive() const {
  BERTH_RETURN_IF_ERROR(interrupt_.status());
  if (!ended(process_, 0)) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("start ", name(), " (", spec_.binary, "): it ended; its log ends: ", logTail()));
}

void Engine::connect() {
  client_ = std::make_unique<CriClient>(socket_, &interrupt_);
  cleaner_ = std::make_unique<CriClient>(socket_, nullptr);
}

absl::Status Engine::stop(int signal) {
  BERTH_RETURN_IF_ERROR(process_.signal(signal));
  if (!ended(process_, kStopLimitMilliseconds)) {
    process_ = support::Process();  // kills and reaps
    return absl::DeadlineExceededError(
        absl::StrCat("stop ", name(), ": it still ran 20 s after signal ", signal, "; killed"));
  }
  absl::Status reaped = process_.wait().status();
  process_ = support::Process();
  return reaped;
}

absl::Status Engine::removePods() {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> pods, cleaner_->listPods(workspace_.tag()));
  support::StatusCollector problems;
  for (const std::string& pod : pods) {
    problems.add(cleaner_->stopPod(pod));
    problems.add(cleaner_->removePod(pod));
  }
  return problems.status();
}

void Engine::noteShimSockets() {
  // A shim's socket is outside containerd's own folders; its bundle says where.
  std::error_code error;
  const std::string tasks = layout_.state() + "/io.containerd.runtime.v2.task/k8s.io";
  for (const auto& bundle : std::filesystem::directory_iterator(tasks, error)) {
    const auto address = support::readFile((bundle.path() / "address").string());
    if (!address.ok()) continue;
    absl::string_view path = *address;
    if (absl::ConsumePrefix(&path, "unix://")) workspace_.removeLater(std::string(path));
  }
}

std::string Engine::logTail() const {
  constexpr size_t kTail = 1500;
  const auto log = support::readFile(layout_.logFile());
  if (!log.ok()) return std::string(log.status().message());
  return log->size() <= kTail ? *log : absl::StrCat("…", log->substr(log->size() - kTail));
}

}  // namespace berth::bench
