// The function table a plugin instance gets from its host.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "berth/plugin.h"
#include "berth/support/process.hpp"

namespace berth::plugins {

class Taking;

using LogFields = std::vector<std::pair<std::string_view, std::string_view>>;

// berth_event, owned.
struct Event {
  berth_event_kind kind = 0;
  uint32_t flags = 0;
  std::string pod;
  std::string container;
  int64_t timestamp = 0;  // CLOCK_REALTIME, nanoseconds
  int32_t exitCode = 0;
  std::string message;
};

// What the core offers to plugins. Every function may be called from any thread; `instance` is the
// configuration's name of the calling instance, unique among those of its kind ("runtime").
struct HostServices {
  std::string root;   // below it each instance gets a directory that outlives reboots …
  std::string state;  // … and below this one that does not
  std::function<void(berth_log_level, std::string_view instance, std::string_view message,
                     const LogFields& fields)>
      log;
  std::function<void(std::string_view instance, Event event)> event;  // must not block
  std::function<absl::Status(std::string_view kind, std::string_view instance,
                             std::string_view object, std::string_view state)>
      saveState;
  // `limits` are those of the call that asks.
  std::function<absl::Status(const support::RunLimits& limits, std::string_view registry,
                             const std::function<void(const berth_credentials&)>& found)>
      credentials;
  // Optional: sees what each call of the host returned, before it is made a status of: what is
  // wrong with it is only seen here.
  std::function<void(berth_code code, std::string_view message)> answered = nullptr;
};

// Where in its life an instance is, and so what its plugin may call.
enum class HostPhase {
  kBeforeStart,  // log, allocate and release
  kRunning,      // everything
  kNotStarted,   // what kBeforeStart has, for its end: its start has failed
  kStopped,      // the same
  kGone          // nothing: whoever calls does nothing
};

// Owns the berth_host of one instance; must outlive it. What the plugin must not call is refused,
// and the log says so once, in whatever way its threads go on.
class HostTable {
 public:
  // `kind` tells instances of one name apart: "runtime".
  HostTable(std::string_view kind, std::string instance, const HostServices& services);
  ~HostTable();  // kGone
  HostTable(const HostTable&) = delete;
  HostTable& operator=(const HostTable&) = delete;

  // Makes the instance's directories; before the plugin sees the table.
  absl::Status makeDirectories() const;
  const berth_host* get() const;
  void enter(HostPhase phase) const;
  const std::string& instance() const { return instance_; }
  // The logger for what the host says about the instance.
  void log(berth_log_level level, std::string_view message) const;

 private:
  // What a plugin may still point to when the instance is gone.
  struct Lasting;
  class Call;

  static void logCall(void* context, berth_log_level level, berth_str message,
                      const berth_pair* fields, size_t count);
  static void emitCall(void* context, const berth_event* event);
  static berth_code saveCall(void* context, berth_str object, berth_bytes state,
                             berth_error* error);
  static berth_code credentialsCall(void* context, const berth_op* op, berth_str registry,
                                    void (*found)(void*, const berth_credentials*), void* user,
                                    berth_error* error);

  // Logs what was wrong with a call that returns nothing, if anything was.
  void complain(std::string_view function, const Taking& taking) const;

  const std::string kind_;
  const std::string instance_;
  const HostServices& services_;
  Lasting& lasting_;
};

}  // namespace berth::plugins
