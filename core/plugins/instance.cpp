#include "plugins/instance.hpp"

#include <algorithm>
#include <cstring>

#include <boost/json/serialize.hpp>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "isolation/given_error.hpp"
#include "plugins/findings.hpp"
#include "plugins/observer.hpp"
#include "plugins/options.hpp"
#include "plugins/owned_text.hpp"

namespace berth::plugins {

namespace {

// The stage of an operation of which none was told.
constexpr std::string_view kNoStage = "waiting";

// What a failing call left; checks what the plugin says before the core relies on it.
absl::Status toStatus(berth_code code, const Status& said, std::string_view plugin) {
  if (code == BERTH_OK) return absl::OkStatus();
  std::string words = support::validUtf8(said.message());
  if (code < BERTH_OK || code > BERTH_UNAUTHENTICATED) {
    return absl::InternalError(
        support::strCat("plugin ", plugin, " returned the unknown code ", code, ": ", words));
  }
  if (words.empty()) {
    words = support::strCat("plugin ", plugin, " failed without a message");
  } else if (words != said.message()) {
    words = support::strCat("plugin ", plugin, " failed with what is not UTF-8: ", words);
  }
  return absl::Status(static_cast<absl::StatusCode>(code), words);
}

}  // namespace

std::string_view instanceStateName(InstanceState state) {
  switch (state) {
    case InstanceState::kLoaded:
      return "loaded";
    case InstanceState::kConfigured:
      return "configured";
    case InstanceState::kStarted:
      return "started";
    case InstanceState::kStopped:
      return "stopped";
    case InstanceState::kFailed:
      return "failed";
  }
  return "";
}

Instance::Instance(std::shared_ptr<const Library> library, Kind kind, std::string name,
                   Origin origin, const HostServices& services)
    : library_(std::move(library)),
      kind_(kind),
      origin_(std::move(origin)),
      services_(services),
      host_(kindName(kind), std::move(name), services),
      gate_(library_->description().threading) {}

Instance::~Instance() {
  stop();
  if (handle_ == nullptr) return;
  complain("destroy", callUnheard([&](berth_error*) -> berth_code {
             library_->description().destroy(handle_);
             return BERTH_OK;
           }));
}

void Instance::complain(std::string_view doing, const absl::Status& status) const {
  if (!status.ok()) host_.log(BERTH_LOG_ERROR, support::fromAbsl(located(doing, status).message()));
}

std::string Instance::title() const {
  return support::strCat(kindName(kind_), " ", name(), " (plugin ", library_->name(), ")");
}

absl::Status Instance::located(std::string_view doing, const absl::Status& status) const {
  return locate(origin_, doing, status,
                support::strCat(" (plugin ", library_->name(), ", ", library_->path(), ")"));
}

absl::StatusOr<std::unique_ptr<Instance>> Instance::create(std::shared_ptr<const Library> library,
                                                           Kind kind, std::string name,
                                                           const boost::json::object& options,
                                                           Origin origin,
                                                           const HostServices& services) {
  std::unique_ptr<Instance> instance(
      new Instance(std::move(library), kind, std::move(name), std::move(origin), services));
  const berth_plugin& plugin = instance->library().description();
  auto resolved = resolveOptions(view(plugin.options), options);
  if (!resolved.ok()) return instance->located({}, resolved.status());
  instance->options_ = *std::move(resolved);

  void* handle = nullptr;
  const absl::Status created = instance->call({}, [&](berth_error* error) {
    return instance->library().create(instance->host_.get(), instance->turns(), &handle, error);
  });
  BERTH_RETURN_IF_ERROR(instance->located("create", created));
  instance->handle_ = handle;
  const std::string text = boost::json::serialize(instance->options_);
  const absl::Status configured = instance->call(
      {}, [&](berth_error* error) { return plugin.configure(handle, str(text), error); });
  BERTH_RETURN_IF_ERROR(instance->located("configure", configured));
  instance->state_ = InstanceState::kConfigured;
  return instance;
}

isolation::Turns Instance::turns() {
  return [this](std::string_view object, const std::function<bool()>& wanted,
                const std::function<void()>& call) {
    const auto pass = gate_.enter(object, [&wanted] {
      return wanted() ? absl::OkStatus() : absl::CancelledError("it is not wanted any more");
    });
    if (pass.ok()) call();
    return pass.ok();
  };
}

absl::Status Instance::start() {
  absl::Status started = host_.makeDirectories();
  if (started.ok()) {
    host_.enter(HostPhase::kRunning);
    started =
        call({}, [&](berth_error* error) { return library_->description().start(handle_, error); });
  }
  state_ = started.ok() ? InstanceState::kStarted : InstanceState::kFailed;
  if (!started.ok()) host_.enter(HostPhase::kNotStarted);
  return located("start", started);
}

absl::Status Instance::examine(const Operation& op, std::vector<Finding>& findings) const {
  if (library_->description().examine == nullptr) return absl::OkStatus();
  FindingCollector collector;
  const absl::Status returned = call(op, {}, [&](berth_error* error) {
    return library_->description().examine(handle_, op.op(), collector.get(), error);
  });
  for (Finding& finding : collector.findings()) {
    if (finding.detail.starts_with("option "))
      finding.detail = locate(origin_, {}, finding.detail, {});
    findings.push_back(std::move(finding));
  }
  return located("examine", collector.taking().judge(name(), returned));
}

void Instance::stop() {
  if (state_ != InstanceState::kStarted) return;
  library_->endOwnCalls(handle_);
  const absl::Status stopped = call({}, [&](berth_error*) -> berth_code {
    library_->description().stop(handle_);
    return BERTH_OK;
  });
  host_.enter(HostPhase::kStopped);
  complain("stop", stopped);
  state_ = InstanceState::kStopped;
}

bool Instance::extension(std::string_view id, uint32_t revision, void* table, size_t size) const {
  if (library_->description().get_extension == nullptr) return false;
  const void* found = nullptr;
  const absl::Status asked = call({}, [&](berth_error*) -> berth_code {
    found = library_->description().get_extension(handle_, str(id), revision);
    return BERTH_OK;
  });
  complain(support::strCat("get_extension ", id), asked);
  if (!asked.ok() || found == nullptr) return false;
  size_t theirs = 0;
  std::memcpy(&theirs, found, sizeof theirs);
  std::memset(table, 0, size);
  std::memcpy(table, found, std::min(theirs, size));
  std::memcpy(table, &size, sizeof size);
  return true;
}

absl::Status Instance::call(std::string_view object,
                            const std::function<berth_code(berth_error*)>& body) const {
  BERTH_ASSIGN_OR_RETURN(const CallGate::Pass pass, gate_.enter(object));
  return callBeside(body);
}

absl::Status Instance::call(const Operation& op, std::string_view object,
                            const std::function<berth_code(berth_error*)>& body) const {
  auto pass = gate_.enter(object, [&op] { return op.check(); });
  if (!pass.ok()) return support::annotate(pass.status(), support::strCat("plugin ", name()));
  std::multiset<const Operation*>::iterator place;
  {
    const std::lock_guard lock(callsMutex_);
    place = calls_.insert(&op);
  }
  absl::Status status = callBeside(body);
  {
    const std::lock_guard lock(callsMutex_);
    calls_.erase(place);
  }
  // Who has waited hears where it stood.
  const bool cutOff = absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
  const std::string stage = op.stage();
  return cutOff && stage != kNoStage ? support::annotate(status, stage) : status;
}

std::optional<Operation::Clock::time_point> Instance::overdueSince() const {
  std::optional<Operation::Clock::time_point> earliest;
  const std::lock_guard lock(callsMutex_);
  for (const Operation* const one : calls_) {
    const auto over = one->overSince();
    if (over && (!earliest || *over < *earliest)) earliest = over;
  }
  return earliest;
}

absl::Status Instance::callBeside(const std::function<berth_code(berth_error*)>& body) const {
  Observer* const hears = observer();
  if (hears == nullptr) return callUnheard(body);
  const auto begin = std::chrono::steady_clock::now();
  absl::Status status = callUnheard(body);
  hears->onCall(*this, !status.ok(), std::chrono::steady_clock::now() - begin);
  return status;
}

absl::Status Instance::callUnheard(const std::function<berth_code(berth_error*)>& body) const {
  isolation::GivenError slot;
  try {
    const berth_code code = body(slot.get());
    if (services_.answered) services_.answered(code, slot.status(code).message());
    return toStatus(code, slot.status(code), name());
  } catch (...) {
    return absl::InternalError(support::strCat("plugin ", name(), " (", library_->name(),
                                               ") let an exception out of a call"));
  }
}

}  // namespace berth::plugins
