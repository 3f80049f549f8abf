// A runtime that measures another one. See README.md.
#include <algorithm>
#include <berth/extensions.h>
#include <berth/helpers.h>
#include <berth/plugin.hpp>
#include <chrono>
#include <string>

#include "inner.hpp"
#include "timings.hpp"

namespace timed {
namespace {

using berth::Status;

// It passes on whole tables of C functions, so it derives from Plugin alone and brings a table of
// its own in place of berth::Runtime's.
class TimedRuntime final : public berth::Plugin {
 public:
  using Kind = TimedRuntime;
  static constexpr std::string_view kInterface = BERTH_RUNTIME_INTERFACE;
  using Plugin::Plugin;

  Status configure(std::string_view options) override {
    const berth_str given = berth::str(options);
    char plugin[1024] = "";
    char file[1024] = "";
    if (berth_json_string(given, "plugin", plugin, sizeof plugin) == 0 || plugin[0] == 0)
      return {BERTH_INVALID_ARGUMENT, "option plugin: must name a plugin"};
    if (berth_json_string(given, "file", file, sizeof file) == 0 ||
        (file[0] != 0 && file[0] != '/'))
      return {BERTH_INVALID_ARGUMENT, "option file: must be an absolute path"};
    file_ = file[0] != 0 ? file : std::string(host().stateDirectory()) + "/timings.json";
    slow_ = std::chrono::milliseconds(berth_json_integer(given, "slow_ms", 1000));
    return inner_.load(host(), plugin, berth::view(berth_json_member(given, "options")));
  }

  Status start() override {
    if (Status status = inner_.start(); !status.ok()) return status;
    pause_ = inner_.extension<berth_runtime_pause>(BERTH_EXTENSION_PAUSE);
    resources_ = inner_.extension<berth_runtime_pod_resources>(BERTH_EXTENSION_POD_RESOURCES);
    ports_ = inner_.extension<berth_runtime_port_forward>(BERTH_EXTENSION_PORT_FORWARD);
    checkpoints_ = inner_.extension<berth_runtime_checkpoint>(BERTH_EXTENSION_CHECKPOINT);
    offerCheckpoints();
    return {};
  }

  void stop() override {
    inner_.stop();
    write();
  }

  Status examine(const berth::Op& op, berth::Findings& out) override {
    berth_finding_sink sink = {
        sizeof sink, &out, [](berth_finding_sink* self, const berth_finding* finding) {
          const berth_finding one = berth::detail::known(finding);
          static_cast<berth::Findings*>(self->host)
              ->add(one.kind, berth::view(one.what), berth::view(one.detail));
        }};
    return inner_.examine(op, &sink);
  }

  const void* extension(std::string_view id, uint32_t revision) override;

  static const berth_runtime* functions();

  // The table of the other runtime that a function of `Table` is in.
  template <class Table>
  const Table& table() const;

  // Calls the other runtime and measures it.
  template <class Call>
  berth_code measure(std::string_view name, Call call) {
    const auto begin = std::chrono::steady_clock::now();
    const berth_code code = call(inner_.instance());
    const auto took = std::chrono::steady_clock::now() - begin;
    timings_.add(name, took, code != BERTH_OK);
    if (took > slow_ && !name.ends_with("_wait"))
      host().warn("a call of the runtime was slow",
                  {{"call", name}, {"milliseconds", std::to_string(milliseconds(took))}});
    if (name == "pod_remove") write();
    return code;
  }

 private:
  void offerCheckpoints();
  void write() const {
    if (!timings_.write(file_)) host().warn("the timings cannot be written", {{"path", file_}});
  }

  std::string file_;
  std::chrono::steady_clock::duration slow_{};
  Inner inner_;
  Timings timings_;
  berth_runtime_pause pause_{};
  berth_runtime_pod_resources resources_{};
  berth_runtime_port_forward ports_{};
  berth_runtime_checkpoint checkpoints_{};
  berth_runtime_checkpoint offeredCheckpoints_{};
};

template <>
const berth_runtime& TimedRuntime::table() const {
  return inner_.calls();
}
template <>
const berth_runtime_pause& TimedRuntime::table() const {
  return pause_;
}
template <>
const berth_runtime_pod_resources& TimedRuntime::table() const {
  return resources_;
}
template <>
const berth_runtime_port_forward& TimedRuntime::table() const {
  return ports_;
}
template <>
const berth_runtime_checkpoint& TimedRuntime::table() const {
  return checkpoints_;
}

// The name of a call, as an argument of a template.
template <size_t Size>
struct Name {
  consteval Name(const char (&literal)[Size]) { std::copy_n(literal, Size, text); }
  char text[Size];
};

// Timed<&berth_runtime::pod_stop, "pod_stop">::call has the type of that member, and calls it with
// the other runtime's instance.
template <auto Member, Name kName>
struct Timed;
template <class Table, class... Arguments, berth_code (*Table::*Member)(void*, Arguments...),
          Name kName>
struct Timed<Member, kName> {
  static berth_code call(void* instance, Arguments... arguments) {
    auto& self = *static_cast<TimedRuntime*>(instance);
    return self.measure(kName.text, [&](void* inner) {
      return (self.table<Table>().*Member)(inner, arguments...);
    });
  }
};
#define TIMED(table, member) .member = &Timed<&table::member, #member>::call

const berth_runtime* TimedRuntime::functions() {
  static const berth_runtime table = {
      .size = sizeof(berth_runtime),
      TIMED(berth_runtime, features),
      TIMED(berth_runtime, pod_create),
      TIMED(berth_runtime, pod_start),
      TIMED(berth_runtime, pod_stop),
      TIMED(berth_runtime, pod_remove),
      TIMED(berth_runtime, pod_recover),
      TIMED(berth_runtime, container_create),
      TIMED(berth_runtime, container_start),
      TIMED(berth_runtime, container_kill),
      TIMED(berth_runtime, container_wait),
      TIMED(berth_runtime, container_remove),
      TIMED(berth_runtime, container_update),
      TIMED(berth_runtime, container_reopen_log),
      TIMED(berth_runtime, container_stats),
      TIMED(berth_runtime, pod_stats),
      TIMED(berth_runtime, exec_start),
      TIMED(berth_runtime, exec_wait),
      TIMED(berth_runtime, resize),
      TIMED(berth_runtime, attach),
  };
  return &table;
}

void TimedRuntime::offerCheckpoints() {
  offeredCheckpoints_ = {
      .size = checkpoints_.size,
      .format = checkpoints_.format,
      TIMED(berth_runtime_checkpoint, check),
      TIMED(berth_runtime_checkpoint, checkpoint),
      TIMED(berth_runtime_checkpoint, restore),
  };
}

const void* TimedRuntime::extension(std::string_view id, uint32_t revision) {
  static const berth_runtime_pause pause = {
      .size = sizeof pause, TIMED(berth_runtime_pause, pause), TIMED(berth_runtime_pause, resume)};
  static const berth_runtime_pod_resources resources = {.size = sizeof resources,
                                                        TIMED(berth_runtime_pod_resources, update)};
  static const berth_runtime_port_forward ports = {.size = sizeof ports,
                                                   TIMED(berth_runtime_port_forward, connect)};
  if (revision != 1) return nullptr;
  if (id == BERTH_EXTENSION_PAUSE && pause_.size != 0) return &pause;
  if (id == BERTH_EXTENSION_POD_RESOURCES && resources_.size != 0) return &resources;
  if (id == BERTH_EXTENSION_PORT_FORWARD && ports_.size != 0) return &ports;
  if (id == BERTH_EXTENSION_CHECKPOINT && checkpoints_.size != 0) return &offeredCheckpoints_;
  return nullptr;
}

}  // namespace
}  // namespace timed

BERTH_PLUGIN(timed::TimedRuntime, {.name = "runtime-timings",
                                   .version = "1.0.0",
                                   .summary = "Measures the calls of another runtime",
                                   .threading = BERTH_THREADING_PARALLEL,
                                   .options = R"([
  {"key": "plugin", "type": "string", "example": "runtime-runc",
   "help": "The runtime that is measured: a plugin in the same folder, or a path."},
  {"key": "options", "type": "table", "default": {}, "help": "The options of that plugin."},
  {"key": "slow_ms", "type": "integer", "default": 1000, "example": 200,
   "help": "Calls that take longer than these milliseconds are told of in the log."},
  {"key": "file", "type": "string", "default": "", "example": "/run/timings.json",
   "help": "Where the sums are written; empty: timings.json in the instance's state folder."}
])"})
