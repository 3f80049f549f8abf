#include "isolation/remote_instance.hpp"

#include <algorithm>
#include <sys/eventfd.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "berth/support/utf8.hpp"
#include "isolation/stubs.hpp"

namespace berth::isolation {

using support::fromAbsl;
using support::strCat;
using Clock = std::chrono::steady_clock;

namespace {

// How often a call that waits for the start of the process looks whether it is still wanted.
constexpr auto kLook = std::chrono::milliseconds(20);

bool isOver(const berth_op* op) {
  return op != nullptr && op->cancelled(op) != 0;
}

}  // namespace

absl::Status RemoteInstance::statusOf(berth_code code, const std::string& message) {
  if (code < BERTH_OK || code > BERTH_UNAUTHENTICATED)
    return absl::InternalError(strCat("the unknown code ", code, ": ", message));
  return absl::Status(static_cast<absl::StatusCode>(code), message);
}

RemoteInstance::RemoteInstance(Launch launch, std::shared_ptr<PluginProcess> process,
                               const berth_host* host, Turns turns)
    : launch_(std::move(launch)),
      host_(host),
      table_(hostTable()),
      turns_(std::move(turns)),
      process_(std::move(process)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

berth_host RemoteInstance::hostTable() {
  berth_host table = detail::known(host_);
  table.context = this;
  table.log = [](void* context, berth_log_level level, berth_str message, const berth_pair* fields,
                 size_t count) {
    const berth_host* const host = of(context).host_;
    host->log(host->context, level, message, fields, count);
  };
  table.emit_event = [](void* context, const berth_event* event) {
    const berth_host* const host = of(context).host_;
    host->emit_event(host->context, event);
  };
  table.save_state = [](void* context, berth_str object, berth_bytes state, berth_error* error) {
    const berth_host* const host = of(context).host_;
    const berth_code code = host->save_state(host->context, object, state, error);
    if (code == BERTH_OK) of(context).pods_.setState(view(object), view(state));
    return code;
  };
  table.get_credentials = [](void* context, const berth_op* op, berth_str registry,
                             void (*found)(void*, const berth_credentials*), void* user,
                             berth_error* error) {
    const berth_host* const host = of(context).host_;
    return host->get_credentials(host->context, op, registry, found, user, error);
  };
  return table;
}

RemoteInstance::~RemoteInstance() {
  stop();
}

void RemoteInstance::destroy() {
  stop();
  char nothing = 0;
  // Whatever it fails with: the process ends.
  if (!process_->ended())
    callOn<&berth_plugin::destroy>(*process_, {nullptr}, nothing).IgnoreError();
}

absl::Status RemoteInstance::blamed(const absl::Status& status) const {
  return support::annotate(status, strCat("plugin ", view(host_->instance)));
}

berth_code RemoteInstance::fail(const absl::Status& status, berth_error* error) const {
  return detail::report(blamed(status), error);
}

void RemoteInstance::log(berth_log_level level, const std::string& message) const {
  host_->log(host_->context, level, str(message), nullptr, 0);
}

absl::Status RemoteInstance::createOn(PluginProcess& process) const {
  process.serveHost(&table_);
  Encoder content;
  for (const berth_str text :
       {host_->version, host_->instance, host_->root_directory, host_->state_directory})
    encode(content, text);
  BERTH_ASSIGN_OR_RETURN(Frame reply,
                         process.exchange({.kind = Kind::kCreate, .content = content}));
  Decoder in(reply.bytes, reply.descriptors);
  const auto outcome = in.raw<Outcome>();
  if (outcome == Outcome::kThrew && in.finished()) throw PluginThrew();
  const auto code = in.raw<berth_code>();
  const std::string message(in.text());
  if (outcome != Outcome::kReturned || !in.finished())
    return process.blame("broke the protocol: a reply that is not understood");
  return statusOf(code, message);
}

berth_code RemoteInstance::create(berth_error* error) {
  const absl::Status created = createOn(*process_);
  // The plugin's own words are its own; what befell the process blames the plugin.
  return process_->ended() ? fail(created, error) : detail::report(created, error);
}

berth_code RemoteInstance::configure(berth_str options, berth_error* error) {
  options_ = copy(options);
  return call<&berth_plugin::configure>({this, options, error});
}

berth_code RemoteInstance::start(berth_error* error) {
  const berth_code code = call<&berth_plugin::start>({this, error});
  if (code != BERTH_OK) return code;
  auto thread = support::startThread([this] { supervise(); });
  if (!thread.ok()) return fail(thread.status(), error);
  const std::lock_guard lock(mutex_);
  supervisor_ = *std::move(thread);
  supervised_ = true;
  return BERTH_OK;
}

void RemoteInstance::endOwnCalls() {
  {
    const std::lock_guard lock(mutex_);
    if (!supervised_) return;
    supervised_ = false;
    stopping_ = true;
    process_->release();
  }
  changed_.notify_all();
  if (stop_) ::eventfd_write(stop_.get(), 1);
  supervisor_.join();
}

void RemoteInstance::stop() {
  endOwnCalls();
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ || stopped_) return;
    stopped_ = true;
  }
  char nothing = 0;
  if (process_->ended()) return;
  const absl::Status stopped = callOn<&berth_plugin::stop>(*process_, {nullptr}, nothing);
  if (stopped.ok()) process_->awaitStopped();
}

absl::StatusOr<std::shared_ptr<PluginProcess>> RemoteInstance::ready(const berth_op* op) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!process_->ended() && phase_ == Phase::kThere) return process_;
    if (!supervised_) return absl::UnavailableError(strCat("its process ", process_->end()));
    if (phase_ == Phase::kWaiting) {
      const auto left = std::chrono::ceil<std::chrono::seconds>(next_ - Clock::now()).count();
      return absl::UnavailableError(
          strCat(why_, "; it is started again in ", std::max<int64_t>(left, 0), " s"));
    }
    if (isOver(op)) return absl::UnavailableError("its process is being started again");
    changed_.wait_for(lock, kLook);
  }
}

const void* RemoteInstance::extension(std::string_view id, uint32_t revision) {
  const auto* const found = std::find(std::begin(kExtensions), std::end(kExtensions), id);
  if (found == std::end(kExtensions) || revision != 1) {
    missOther(id, revision);
    return nullptr;
  }
  const auto index = static_cast<size_t>(found - std::begin(kExtensions));
  {
    const std::lock_guard lock(extensionsMutex_);
    if (asked_[index]) return extensions_[index].get();
  }
  // Not with the mutex held: the start of a new process, which this may wait for, takes it.
  const absl::StatusOr<std::shared_ptr<PluginProcess>> process = ready(nullptr);
  if (!process.ok()) return nullptr;
  const Encoder nothing;
  absl::StatusOr<Frame> reply = (*process)->exchange(
      {.kind = Kind::kExtension, .number = static_cast<uint16_t>(index), .content = nothing});
  if (!reply.ok()) return nullptr;
  auto answer = std::make_shared<Frame>(*std::move(reply));
  Decoder in(answer->bytes, answer->descriptors);
  const auto outcome = in.raw<Outcome>();
  if (outcome == Outcome::kThrew && in.finished()) throw PluginThrew();
  const bool offered = in.raw<uint8_t>() != 0;
  std::shared_ptr<const void> table =
      offered ? decodeExtension(kFirstExtension + index, in) : nullptr;
  if (outcome != Outcome::kReturned || !in.finished()) {
    (*process)->blame("broke the protocol: a table that is not understood").IgnoreError();
    return nullptr;
  }
  const std::lock_guard lock(extensionsMutex_);
  if (asked_[index]) return extensions_[index].get();
  asked_[index] = true;
  answers_[index] = std::move(answer);
  extensions_[index] = std::move(table);
  return extensions_[index].get();
}

void RemoteInstance::missOther(std::string_view id, uint32_t revision) {
  const absl::StatusOr<std::shared_ptr<PluginProcess>> process = ready(nullptr);
  if (!process.ok()) return;
  Encoder content;
  content.text(id);
  content.raw(revision);
  const absl::StatusOr<Frame> reply = (*process)->exchange(
      {.kind = Kind::kExtension, .number = kOtherExtension, .content = content});
  if (!reply.ok()) return;
  Decoder in(reply->bytes);
  const auto outcome = in.raw<Outcome>();
  if (outcome == Outcome::kThrew && in.finished()) throw PluginThrew();
  const bool offered = in.raw<uint8_t>() != 0;
  if (outcome != Outcome::kReturned || !in.finished())
    return (*process)->blame("broke the protocol: a reply that is not understood").IgnoreError();
  if (!offered) return;
  const std::string name = strCat(id, ", revision ", revision);
  {
    const std::lock_guard lock(extensionsMutex_);
    if (!kept_.insert(name).second) return;
  }
  log(BERTH_LOG_WARNING,
      strCat("offers the extension ", name,
             ", which does not get out of its process: only those of the SDK do; "
             "isolation = \"none\" has it"));
}

pid_t RemoteInstance::pid() const {
  const std::lock_guard lock(mutex_);
  return process_->ended() ? 0 : process_->pid();
}

uint32_t RemoteInstance::restarts() const {
  const std::lock_guard lock(mutex_);
  return restarts_;
}

std::optional<common::Outage> RemoteInstance::outage() const {
  const std::lock_guard lock(mutex_);
  if (!out_) return std::nullopt;
  // Of words that are the plugin's own, and go to whoever asks how the node is.
  constexpr size_t kLongest = 500;
  return common::Outage{
      *out_, support::oneLine(strCat("plugin ", view(host_->instance), ": ", why_), kLongest)};
}

void RemoteInstance::setPodCidr(std::string_view cidr) {
  const std::lock_guard lock(mutex_);
  podCidr_ = cidr;
}

uint32_t RemoteInstance::lastNumber(uint16_t number, uint32_t otherwise) const {
  const std::lock_guard lock(mutex_);
  const auto found = numbers_.find(number);
  return found != numbers_.end() ? found->second : otherwise;
}

void RemoteInstance::keepNumber(uint16_t number, uint32_t value) {
  // What a source answers depends on the reference.
  if (number == kNumber<&berth_image_source::serves>) return;
  const std::lock_guard lock(mutex_);
  numbers_[number] = value;
}

}  // namespace berth::isolation
