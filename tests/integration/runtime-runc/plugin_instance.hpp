// A host of a few lines: loads a runtime plugin through its entry and calls its function table.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/extensions.h"
#include "berth/plugin.hpp"
#include "berth/runtime.h"
#include "berth/support/fd.hpp"

namespace berth::test {

// What a call has come to.
struct Result {
  berth_code code = BERTH_OK;
  std::string message;
  bool ok() const { return code == BERTH_OK; }
};
void PrintTo(const Result& result, std::ostream* out);

struct Event {
  berth_event_kind kind{};
  std::string pod;
  std::string container;
  uint32_t flags = 0;
  int32_t exitCode = 0;
  int64_t timestamp = 0;
};

// What a plugin emitted. Thread-safe.
class Events {
 public:
  void add(const berth_event& event);
  // The first such event, whenever it was emitted; waits at most 30 s.
  std::optional<Event> await(berth_event_kind kind, const std::string& object);
  int count(berth_event_kind kind, const std::string& object);

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::vector<Event> events_;
};

// A call's deadline and cancellation.
class TestOp {
 public:
  explicit TestOp(std::chrono::milliseconds time = std::chrono::seconds(60));
  void cancel();
  const berth_op* get() const { return &op_; }

 private:
  support::Fd cancel_;
  berth_op op_{};
};

struct Status {
  std::string id;
  berth_container_state state{};
  uint32_t flags = 0;
  int64_t pid = 0;
  int32_t exitCode = 0;
  int64_t startedAt = 0;
  int64_t finishedAt = 0;
};

struct Stats {
  berth_stats values{};
  std::vector<std::string> interfaces;
};

struct MadePod {
  Result result;
  std::map<uint32_t, std::string> namespaces;
  std::string state;
};

// One instance of the plugin, from create to destroy.
class PluginInstance {
 public:
  // `library`: the shared object; `options`: JSON. Started at once; see `started`.
  PluginInstance(const std::string& library, const std::string& options);
  ~PluginInstance();
  PluginInstance(const PluginInstance&) = delete;
  PluginInstance& operator=(const PluginInstance&) = delete;

  const Result& started() const { return started_; }
  Events& events() { return events_; }
  // What all instances have logged; thread-safe.
  static std::string log();
  const berth_plugin& description() const { return *plugin_; }
  template <class Table>
  const Table* extension(std::string_view id) {
    return static_cast<const Table*>(plugin_->get_extension(instance_, str(id), 1));
  }

  // Calls `function(instance, error)` and keeps what it left in the error.
  Result call(const std::function<berth_code(const berth_runtime&, void*, berth_error*)>& function);

  std::string features();
  MadePod podCreate(const berth_pod_spec& spec, const TestOp& op = TestOp());
  Result podStop(const std::string& pod);
  Result podRemove(const std::string& pod, const TestOp& op = TestOp());
  Result podRecover(const std::string& pod, const std::string& directory, const std::string& state,
                    std::map<std::string, Status>* found = nullptr);
  Result containerCreate(const berth_container_spec& spec, const TestOp& op = TestOp());
  Result containerStart(const std::string& pod, const std::string& id, Status* status = nullptr,
                        const TestOp& op = TestOp());
  Result containerKill(const std::string& pod, const std::string& id, int signal);
  Result containerWait(const std::string& pod, const std::string& id, Status* status,
                       const TestOp& op = TestOp());
  Result containerRemove(const std::string& pod, const std::string& id);
  Result containerUpdate(const std::string& pod, const std::string& id,
                         const std::string& resources);
  std::map<std::string, Stats> containerStats(const std::string& pod,
                                              const std::vector<std::string>& ids);
  std::map<std::string, Stats> podStats(const std::string& pod);

 private:
  berth_host host_{};
  Events events_;
  const berth_plugin* plugin_ = nullptr;
  const berth_runtime* functions_ = nullptr;
  void* instance_ = nullptr;
  Result started_;
};

}  // namespace berth::test
