#include "plugin_check/watched_host.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "berth/plugin.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::check {

using support::strCat;

WatchedHost::WatchedHost(const std::string& folder, std::string instance, Age age)
    : instance_(std::move(instance)),
      root_(strCat(folder, "/root/", instance_)),
      state_(strCat(folder, "/state/", instance_)) {
  berth_host& host = table_.today;
  host.size = age == Age::kFuture ? sizeof table_ : sizeof host;
  host.abi_major = BERTH_ABI_MAJOR;
  host.abi_minor = age == Age::kFuture ? BERTH_ABI_MINOR + 1 : BERTH_ABI_MINOR;
  host.version = str(BERTH_VERSION);
  host.instance = str(instance_);
  host.context = this;
  host.root_directory = str(root_);
  host.state_directory = str(state_);
  host.log = [](void* context, berth_log_level level, berth_str message, const berth_pair* fields,
                size_t count) {
    self(context).note("log", true);
    if (level < BERTH_LOG_DEBUG || level > BERTH_LOG_ERROR)
      self(context).wrong(strCat("logs with the unknown level ", level));
    if (!support::isUtf8(view(message))) self(context).wrong("logs what is not UTF-8");
    if (count > 0 && fields == nullptr) self(context).wrong("logs fields that are NULL");
    std::fprintf(stderr, "[%d] %s\n", level, copy(message).c_str());
  };
  host.allocate = [](void* context, size_t bytes) -> void* {
    self(context).note("allocate", true);
    void* memory = std::malloc(bytes);
    const std::lock_guard lock(self(context).mutex_);
    self(context).memory_.insert(memory);
    return memory;
  };
  host.release = [](void* context, void* memory) {
    self(context).note("release", true);
    if (memory == nullptr) return;
    {
      const std::lock_guard lock(self(context).mutex_);
      if (self(context).memory_.erase(memory) == 1) return std::free(memory);
    }
    self(context).wrong("releases what the host has not allocated");
  };
  host.emit_event = [](void* context, const berth_event* event) {
    self(context).note("emit_event", false);
    if (event == nullptr || event->size < sizeof(size_t))
      self(context).wrong("emits an event without a size");
  };
  host.save_state = [](void* context, berth_str, berth_bytes, berth_error* error) -> berth_code {
    self(context).note("save_state", false);
    return berth_fail(error, BERTH_NOT_FOUND, BERTH_STR_INIT("there is no such record"));
  };
  host.get_credentials = [](void* context, const berth_op*, berth_str,
                            void (*)(void*, const berth_credentials*), void*,
                            berth_error* error) -> berth_code {
    self(context).note("get_credentials", false);
    return berth_fail(error, BERTH_NOT_FOUND, BERTH_STR_INIT("there are no credentials"));
  };
  host.get_extension = [](void* context, berth_str, uint32_t) -> const void* {
    self(context).note("get_extension", false);
    return nullptr;
  };
  std::memset(table_.added, 0x5A, sizeof table_.added);
}

WatchedHost& WatchedHost::make(const std::string& folder, const std::string& instance, Age age) {
  // Reachable, so that a leak checker does not take them for the plugin's leaks.
  static auto& all = *new std::vector<WatchedHost*>;
  all.push_back(new WatchedHost(folder, instance, age));
  return *all.back();
}

absl::Status WatchedHost::makeDirectories() const {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(root_, 0711));
  return support::makeDirectories(state_, 0711);
}

void WatchedHost::enter(Phase phase) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  destroyer_ = std::this_thread::get_id();
}

// `always`: the three functions that may be called earlier. While the instance is destroyed they
// are needed to give memory back, but only by who destroys.
void WatchedHost::note(const char* function, bool always) {
  std::string when;
  {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kBeforeStart && !always) when = "before start";
    if (phase_ == Phase::kStopped && (!always || std::this_thread::get_id() != destroyer_))
      when = "after stop has returned";
    if (phase_ == Phase::kDestroyed) when = "after destroy has returned";
  }
  if (!when.empty()) wrong(strCat("calls the host's ", function, " ", when));
}

void WatchedHost::wrong(std::string what) {
  const std::lock_guard lock(mutex_);
  if (std::find(wrongs_.begin(), wrongs_.end(), what) == wrongs_.end())
    wrongs_.push_back(std::move(what));
}

void WatchedHost::judge(Probe& probe) {
  const std::lock_guard lock(mutex_);
  for (const std::string& what : wrongs_) probe.fail(what);
  wrongs_.clear();
  if (phase_ == Phase::kDestroyed && !memory_.empty())
    probe.fail(strCat("has not released ", memory_.size(), " pieces of memory that the host gave"));
}

}  // namespace berth::check
