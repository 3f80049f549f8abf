#include "plugins/host_table.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

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

HostTable::HostTable(std::string_view kind, std::string instance, const HostServices& services)
    : kind_(kind),
      instance_(std::move(instance)),
      services_(services),
      root_(directoryOf(services.root, kind, instance_)),
      state_(directoryOf(services.state, kind, instance_)),
      table_{.size = sizeof(berth_host),
             .abi_major = BERTH_ABI_MAJOR,
             .abi_minor = BERTH_ABI_MINOR,
             .version = str(BERTH_VERSION),
             .instance = str(instance_),
             .context = this,
             .log = &logCall,
             .allocate = [](void*, size_t bytes) { return std::malloc(bytes); },
             .release = [](void*, void* memory) { std::free(memory); },
             .emit_event = &emitCall,
             .save_state = &saveCall,
             .get_credentials = &credentialsCall,
             .get_extension = [](void*, berth_str, uint32_t) -> const void* { return nullptr; },
             .root_directory = str(root_),
             .state_directory = str(state_)} {}

absl::Status HostTable::makeDirectories() const {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(root_, 0711));
  return support::makeDirectories(state_, 0711);
}

void HostTable::log(berth_log_level level, std::string_view message) const {
  services_.log(level, instance_, message, {});
}

void HostTable::logCall(void* context, berth_log_level level, berth_str message,
                        const berth_pair* fields, size_t count) {
  detail::guard(nullptr, [&]() -> Status {
    std::vector<std::pair<std::string, std::string>> owned;
    // What it says matters more than what it says it of.
    if (fields == nullptr || count > kMostFields) count = 0;
    for (size_t i = 0; i < count; ++i) {
      owned.emplace_back(takenText(fields[i].key), takenText(fields[i].value));
    }
    self(context).services_.log(level, self(context).instance_, takenText(message),
                                LogFields(owned.begin(), owned.end()));
    return {};
  });
}

void HostTable::emitCall(void* context, const berth_event* given) {
  detail::guard(nullptr, [&]() -> Status {
    const berth_event event = detail::known(given);
    self(context).services_.event(
        self(context).instance_,
        Event{event.kind, event.flags, takenText(event.pod), takenText(event.container),
              event.timestamp, event.exit_code, takenText(event.message)});
    return {};
  });
}

berth_code HostTable::saveCall(void* context, berth_str object, berth_bytes state,
                               berth_error* error) {
  return detail::guard(error, [&]() -> Status {
    if (state.size > kMaxState) {
      return Status(BERTH_INVALID_ARGUMENT,
                    support::strCat("state of ", state.size, " bytes; at most ", kMaxState));
    }
    return self(context).services_.saveState(self(context).kind_, self(context).instance_,
                                             takenText(object), view(state));
  });
}

berth_code HostTable::credentialsCall(void* context, const berth_op* op, berth_str registry,
                                      void (*found)(void*, const berth_credentials*), void* user,
                                      berth_error* error) {
  return detail::guard(error, [&]() -> Status {
    if (found == nullptr) return {BERTH_INVALID_ARGUMENT, "credentials for nobody"};
    return self(context).services_.credentials(
        limitsOf(op), takenText(registry),
        [&](const berth_credentials& credentials) { found(user, &credentials); });
  });
}

}  // namespace berth::plugins
