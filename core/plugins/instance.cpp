#include "plugins/instance.hpp"

#include <algorithm>
#include <cstring>

#include <boost/json/serialize.hpp>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "plugins/options.hpp"

namespace berth::plugins {

namespace {

// What a failing call left; checks what the plugin says before the core relies on it.
absl::Status toStatus(berth_code code, const Status& said, std::string_view plugin) {
  if (code == BERTH_OK) return absl::OkStatus();
  if (code < BERTH_OK || code > BERTH_UNAUTHENTICATED) {
    return absl::InternalError(support::strCat("plugin ", plugin, " returned the unknown code ",
                                               code, ": ", said.message()));
  }
  const std::string message = said.message().empty()
                                  ? support::strCat("plugin ", plugin, " failed without a message")
                                  : said.message();
  return absl::Status(static_cast<absl::StatusCode>(code), message);
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
                   const HostServices& services)
    : library_(std::move(library)),
      kind_(kind),
      host_(kindName(kind), std::move(name), services),
      gate_(library_->description().threading) {}

Instance::~Instance() {
  stop();
  if (handle_ != nullptr) library_->description().destroy(handle_);
}

std::string Instance::context() const {
  return support::strCat("plugin file ", library_->path(), " (", library_->name(), "), ",
                         kindName(kind_), " \"", name(), "\"");
}

absl::StatusOr<std::unique_ptr<Instance>> Instance::create(std::shared_ptr<const Library> library,
                                                           Kind kind, std::string name,
                                                           const boost::json::object& options,
                                                           const HostServices& services) {
  std::unique_ptr<Instance> instance(
      new Instance(std::move(library), kind, std::move(name), services));
  const berth_plugin& plugin = instance->library().description();
  auto resolved = resolveOptions(view(plugin.options), options);
  if (!resolved.ok()) return support::annotate(resolved.status(), instance->context());
  instance->options_ = *std::move(resolved);

  BERTH_RETURN_IF_ERROR(support::annotate(instance->host_.makeDirectories(), instance->context()));
  void* handle = nullptr;
  absl::Status created = instance->call(
      {}, [&](berth_error* error) { return plugin.create(instance->host_.get(), &handle, error); });
  BERTH_RETURN_IF_ERROR(
      support::annotate(created, support::strCat(instance->context(), ": create")));
  instance->handle_ = handle;
  const std::string text = boost::json::serialize(instance->options_);
  absl::Status configured = instance->call(
      {}, [&](berth_error* error) { return plugin.configure(handle, str(text), error); });
  BERTH_RETURN_IF_ERROR(
      support::annotate(configured, support::strCat(instance->context(), ": configure")));
  instance->state_ = InstanceState::kConfigured;
  return instance;
}

absl::Status Instance::start() {
  absl::Status started =
      call({}, [&](berth_error* error) { return library_->description().start(handle_, error); });
  state_ = started.ok() ? InstanceState::kStarted : InstanceState::kFailed;
  return support::annotate(started, support::strCat(context(), ": start"));
}

void Instance::stop() {
  if (state_ != InstanceState::kStarted) return;
  absl::Status stopped = call({}, [&](berth_error*) -> berth_code {
    library_->description().stop(handle_);
    return BERTH_OK;
  });
  if (!stopped.ok()) {
    host_.log(BERTH_LOG_ERROR,
              support::strCat(context(), ": stop: ", support::fromAbsl(stopped.message())));
  }
  state_ = InstanceState::kStopped;
}

bool Instance::extension(std::string_view id, uint32_t revision, void* table, size_t size) const {
  if (library_->description().get_extension == nullptr) return false;
  const void* found = nullptr;
  absl::Status asked = call({}, [&](berth_error*) -> berth_code {
    found = library_->description().get_extension(handle_, str(id), revision);
    return BERTH_OK;
  });
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
  auto pass = gate_.enter(object, &op);
  if (!pass.ok()) return support::annotate(pass.status(), support::strCat("plugin ", name()));
  return callBeside(body);
}

absl::Status Instance::callBeside(const std::function<berth_code(berth_error*)>& body) const {
  detail::ErrorSlot slot;
  try {
    const berth_code code = body(slot.get());
    return toStatus(code, slot.status(code), name());
  } catch (...) {
    return absl::InternalError(support::strCat("plugin ", name(), " (", library_->name(),
                                               ") let an exception out of a call"));
  }
}

}  // namespace berth::plugins
