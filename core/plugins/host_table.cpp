#include "plugins/host_table.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <mutex>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "plugins/taking.hpp"

namespace berth::plugins {

namespace {

constexpr size_t kMaxState = 1u << 20;  // bytes, as berth_host.save_state says

// Of a line of the log; more than any has.
constexpr size_t kMostFields = 256;

std::string directoryOf(const std::string& base, std::string_view kind,
                        const std::string& instance) {
  std::string name = support::strCat(kind, "-", instance);
  std::replace(name.begin(), name.end(), ' ', '-');
  return support::strCat(base, "/plugins/", name);
}

support::RunLimits limitsOf(const berth_op* given) {
  support::RunLimits limits;
  if (given == nullptr) return limits;
  const berth_op op = detail::known(given);
  // libstdc++'s steady_clock is CLOCK_MONOTONIC.
  if (op.deadline != INT64_MAX)
    limits.deadline = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(op.deadline));
  limits.cancelFd = op.cancel_fd;
  return limits;
}

}  // namespace

// It is never freed, but reachable. There are as many as instances have run; one that could not be
// started leaves its own to the next of its name, however often that is tried: its plugin has no
// threads.
struct HostTable::Lasting {
  std::atomic<HostPhase> phase = HostPhase::kGone;
  std::atomic<int> calls = 0;  // under way
  std::atomic<const HostTable*> host = nullptr;
  std::atomic<bool> told = false;
  const std::string instance, root, state;
  const berth_host table;
  bool spare = false;  // with the mutex

  Lasting(std::string_view kind, const std::string& named, const HostServices& services)
      : instance(named),
        root(directoryOf(services.root, kind, named)),
        state(directoryOf(services.state, kind, named)),
        table{.size = sizeof(berth_host),
              .abi_major = BERTH_ABI_MAJOR,
              .abi_minor = BERTH_ABI_MINOR,
              .version = str(BERTH_VERSION),
              .instance = str(instance),
              .context = this,
              .log = &logCall,
              .allocate = [](void*, size_t bytes) { return std::malloc(bytes); },
              .release = [](void*, void* memory) { std::free(memory); },
              .emit_event = &emitCall,
              .save_state = &saveCall,
              .get_credentials = &credentialsCall,
              .get_extension = [](void*, berth_str, uint32_t) -> const void* { return nullptr; },
              .root_directory = str(root),
              .state_directory = str(state)} {}

  static Lasting& take(std::string_view kind, const std::string& named,
                       const HostServices& services) {
    const std::lock_guard lock(mutex());
    const auto found = std::find_if(all().begin(), all().end(), [&](const Lasting& one) {
      return one.spare && one.root == directoryOf(services.root, kind, named) &&
             one.state == directoryOf(services.state, kind, named);
    });
    Lasting& taken = found != all().end() ? *found : all().emplace_back(kind, named, services);
    taken.spare = false;
    taken.told = false;
    return taken;
  }
  void giveBack() {
    const std::lock_guard lock(mutex());
    spare = true;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::deque<Lasting>& all() {
    static auto& kept = *new std::deque<Lasting>;
    return kept;
  }
};

// A call of the plugin, while which the host stays.
class HostTable::Call {
 public:
  // The count first: whoever lets the host go looks at it last.
  explicit Call(void* context) : lasting_(*static_cast<Lasting*>(context)) { ++lasting_.calls; }
  ~Call() {
    --lasting_.calls;
    lasting_.calls.notify_all();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Null once the instance is gone.
  const HostTable* host() const {
    return lasting_.phase == HostPhase::kGone ? nullptr : lasting_.host.load();
  }
  // The same of a function that is only for running instances; tells of another one.
  const HostTable* running(std::string_view function) const {
    if (lasting_.phase == HostPhase::kRunning) return lasting_.host;
    if (const HostTable* const self = host(); self != nullptr && !lasting_.told.exchange(true))
      self->log(BERTH_LOG_ERROR, support::strCat("the plugin calls ", function, when(),
                                                 ", which it must not: it is not heard"));
    return nullptr;
  }
  Status refusal(std::string_view function) const {
    return {BERTH_FAILED_PRECONDITION, support::strCat(function, " is called", when())};
  }

 private:
  std::string_view when() const {
    return lasting_.phase == HostPhase::kBeforeStart ? " before start" : " after stop";
  }

  Lasting& lasting_;
};

HostTable::HostTable(std::string_view kind, std::string instance, const HostServices& services)
    : kind_(kind),
      instance_(std::move(instance)),
      services_(services),
      lasting_(Lasting::take(kind, instance_, services)) {
  lasting_.host = this;
  enter(HostPhase::kBeforeStart);
}

HostTable::~HostTable() {
  const HostPhase last = lasting_.phase;
  enter(HostPhase::kGone);
  if (last == HostPhase::kBeforeStart || last == HostPhase::kNotStarted) lasting_.giveBack();
}

const berth_host* HostTable::get() const {
  return &lasting_.table;
}

void HostTable::enter(HostPhase phase) const {
  lasting_.phase = phase;
  if (phase != HostPhase::kGone) return;
  for (int calls = lasting_.calls; calls > 0; calls = lasting_.calls) lasting_.calls.wait(calls);
}

absl::Status HostTable::makeDirectories() const {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(lasting_.root, 0711));
  return support::makeDirectories(lasting_.state, 0711);
}

void HostTable::log(berth_log_level level, std::string_view message) const {
  services_.log(level, instance_, message, {});
}

void HostTable::logCall(void* context, berth_log_level level, berth_str message,
                        const berth_pair* fields, size_t count) {
  const Call call(context);
  if (call.host() == nullptr) return;
  Taking taking;
  taking.take([&]() -> Status {
    std::vector<std::pair<std::string, std::string>> owned;
    // What it says matters more than what it says it of.
    if (fields == nullptr || count > kMostFields) count = 0;
    for (size_t i = 0; i < count; ++i) {
      owned.emplace_back(takenText(fields[i].key), takenText(fields[i].value));
    }
    call.host()->services_.log(level, call.host()->instance_, takenText(message),
                               LogFields(owned.begin(), owned.end()));
    return {};
  });
  call.host()->complain("log", taking);
}

void HostTable::emitCall(void* context, const berth_event* given) {
  const Call call(context);
  const HostTable* const self = call.running("emit_event");
  if (self == nullptr) return;
  Taking taking;
  taking.take(given, [&](const berth_event& event) -> Status {
    self->services_.event(self->instance_, Event{event.kind, event.flags, takenText(event.pod),
                                                 takenText(event.container), event.timestamp,
                                                 event.exit_code, takenText(event.message)});
    return {};
  });
  self->complain("emit_event", taking);
}

void HostTable::complain(std::string_view function, const Taking& taking) const {
  if (taking.reason().empty()) return;
  detail::guard(nullptr, [&]() -> Status {
    log(BERTH_LOG_ERROR, isolation::notHeard(function, taking.reason()));
    return {};
  });
}

berth_code HostTable::saveCall(void* context, berth_str object, berth_bytes state,
                               berth_error* error) {
  return detail::guard(error, [&]() -> Status {
    const Call call(context);
    const HostTable* const self = call.running("save_state");
    if (self == nullptr) return call.refusal("save_state");
    if (state.size > kMaxState) {
      return Status(BERTH_INVALID_ARGUMENT,
                    support::strCat("state of ", state.size, " bytes; at most ", kMaxState));
    }
    return self->services_.saveState(self->kind_, self->instance_, takenText(object), view(state));
  });
}

berth_code HostTable::credentialsCall(void* context, const berth_op* op, berth_str registry,
                                      void (*found)(void*, const berth_credentials*), void* user,
                                      berth_error* error) {
  return detail::guard(error, [&]() -> Status {
    const Call call(context);
    const HostTable* const self = call.running("get_credentials");
    if (self == nullptr) return call.refusal("get_credentials");
    if (found == nullptr) return {BERTH_INVALID_ARGUMENT, "credentials for nobody"};
    return self->services_.credentials(
        limitsOf(op), takenText(registry),
        [&](const berth_credentials& credentials) { found(user, &credentials); });
  });
}

}  // namespace berth::plugins
