#include "plugin_instance.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <poll.h>
#include <sys/eventfd.h>

namespace berth::test {

namespace {

constexpr auto kEventTime = std::chrono::seconds(30);

std::mutex logMutex;
std::string logged;

void logLine(void* /*context*/, berth_log_level level, berth_str message, const berth_pair* fields,
             size_t count) {
  std::string line = "[plugin " + std::to_string(level) + "] " + copy(message);
  for (size_t i = 0; i < count; ++i) {
    line += " " + copy(fields[i].key) + "=" + copy(fields[i].value);
  }
  std::fprintf(stderr, "%s\n", line.c_str());
  const std::lock_guard lock(logMutex);
  logged += line + "\n";
}

Stats copyStats(const berth_stats& given) {
  Stats result{.values = given};
  for (size_t i = 0; i < given.interface_count; ++i) {
    const auto* row = static_cast<const berth_interface_stats*>(berth_at(given.interfaces, i));
    result.interfaces.push_back(copy(row->name));
  }
  return result;
}

struct StatsSink {
  std::map<std::string, Stats> found;
  berth_stats_sink sink{
      sizeof(berth_stats_sink), this, [](berth_stats_sink* self, const berth_stats* stats) {
        static_cast<StatsSink*>(self->host)->found[copy(stats->id)] = copyStats(*stats);
      }};
};

Status copyStatus(const berth_container_status& given) {
  return {.id = copy(given.id),
          .state = given.state,
          .flags = given.flags,
          .pid = given.pid,
          .exitCode = given.exit_code,
          .startedAt = given.started_at,
          .finishedAt = given.finished_at};
}

}  // namespace

void PrintTo(const Result& result, std::ostream* out) {
  *out << "code " << result.code << ": " << result.message;
}

void Events::add(const berth_event& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back({.kind = event.kind,
                     .pod = copy(event.pod),
                     .container = copy(event.container),
                     .flags = event.flags,
                     .exitCode = event.exit_code,
                     .timestamp = event.timestamp});
  added_.notify_all();
}

std::optional<Event> Events::await(berth_event_kind kind, const std::string& object) {
  std::optional<Event> found;
  std::unique_lock lock(mutex_);
  added_.wait_for(lock, kEventTime, [&] {
    for (const Event& event : events_) {
      if (event.kind == kind && (event.container == object || event.pod == object)) {
        found = event;
        return true;
      }
    }
    return false;
  });
  return found;
}

int Events::count(berth_event_kind kind, const std::string& object) {
  const std::lock_guard lock(mutex_);
  int count = 0;
  for (const Event& event : events_) {
    if (event.kind == kind && (event.container == object || event.pod == object)) ++count;
  }
  return count;
}

TestOp::TestOp(std::chrono::milliseconds time) : cancel_(::eventfd(0, EFD_CLOEXEC)) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  op_.size = sizeof op_;
  op_.host = this;
  op_.deadline = now.tv_sec * 1000000000 + now.tv_nsec +
                 std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  op_.cancel_fd = cancel_.get();
  op_.cancelled = [](const berth_op* op) -> int32_t {
    pollfd polled{.fd = op->cancel_fd, .events = POLLIN};
    return ::poll(&polled, 1, 0);
  };
  op_.stage = [](const berth_op*, berth_str) {};
  op_.progress = [](const berth_op*, uint64_t, uint64_t) {};
}

void TestOp::cancel() {
  (void)::eventfd_write(cancel_.get(), 1);
}

std::string PluginInstance::log() {
  const std::lock_guard lock(logMutex);
  return logged;
}

PluginInstance::PluginInstance(const std::string& library, const std::string& options) {
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    started_ = {BERTH_NOT_FOUND, ::dlerror()};
    return;
  }
  const auto entry =
      reinterpret_cast<berth_plugin_entry_function>(::dlsym(handle, "berth_plugin_entry"));
  plugin_ = entry(BERTH_ABI_MAJOR, BERTH_ABI_MINOR);
  functions_ = static_cast<const berth_runtime*>(plugin_->functions);
  host_.size = sizeof host_;
  host_.abi_major = BERTH_ABI_MAJOR;
  host_.abi_minor = BERTH_ABI_MINOR;
  host_.version = str("test");
  host_.instance = str("test");
  host_.context = this;
  host_.log = &logLine;
  host_.allocate = [](void*, size_t bytes) { return std::malloc(bytes); };
  host_.release = [](void*, void* memory) { std::free(memory); };
  host_.emit_event = [](void* context, const berth_event* event) {
    static_cast<PluginInstance*>(context)->events_.add(*event);
  };
  host_.get_extension = [](void*, berth_str, uint32_t) -> const void* { return nullptr; };
  detail::ErrorSlot error;
  berth_code code = plugin_->create(&host_, &instance_, error.get());
  if (code == BERTH_OK) code = plugin_->configure(instance_, str(options), error.get());
  if (code == BERTH_OK) code = plugin_->start(instance_, error.get());
  started_ = {code, error.status(code).message()};
}

PluginInstance::~PluginInstance() {
  if (instance_ == nullptr) return;
  if (started_.ok()) plugin_->stop(instance_);
  plugin_->destroy(instance_);
}

Result PluginInstance::call(
    const std::function<berth_code(const berth_runtime&, void*, berth_error*)>& function) {
  detail::ErrorSlot error;
  const berth_code code = function(*functions_, instance_, error.get());
  return {code, error.status(code).message()};
}

std::string PluginInstance::features() {
  std::string text;
  berth_sink sink{
      sizeof(berth_sink), &text,
      [](berth_sink* self, const void* data, size_t length) -> berth_code {
        static_cast<std::string*>(self->host)->append(static_cast<const char*>(data), length);
        return BERTH_OK;
      }};
  const Result result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.features(self, &sink, error);
  });
  return result.ok() ? text : std::string();
}

MadePod PluginInstance::podCreate(const berth_pod_spec& spec, const TestOp& op) {
  MadePod made;
  berth_pod_builder builder{sizeof(berth_pod_builder), &made,
                            [](berth_pod_builder* self, uint32_t bit, berth_str path) {
                              static_cast<MadePod*>(self->host)->namespaces[bit] = copy(path);
                            },
                            [](berth_pod_builder* self, berth_bytes state) {
                              static_cast<MadePod*>(self->host)->state = std::string(view(state));
                            }};
  made.result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.pod_create(self, op.get(), &spec, &builder, error);
  });
  return made;
}

Result PluginInstance::podStop(const std::string& pod) {
  const TestOp op;
  return call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.pod_stop(self, op.get(), str(pod), error);
  });
}

Result PluginInstance::podRemove(const std::string& pod, const TestOp& op) {
  return call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.pod_remove(self, op.get(), str(pod), error);
  });
}

Result PluginInstance::podRecover(const std::string& pod, const std::string& directory,
                                  const std::string& state, std::map<std::string, Status>* found) {
  const TestOp op;
  std::map<std::string, Status> statuses;
  berth_container_status_sink sink{
      sizeof(berth_container_status_sink), &statuses,
      [](berth_container_status_sink* self, const berth_container_status* status) {
        auto& into = *static_cast<std::map<std::string, Status>*>(self->host);
        into[copy(status->id)] = copyStatus(*status);
      }};
  Result result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.pod_recover(self, op.get(), str(pod), str(directory), bytes(state), &sink,
                               error);
  });
  if (found != nullptr) *found = statuses;
  return result;
}

Result PluginInstance::containerCreate(const berth_container_spec& spec, const TestOp& op) {
  return call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_create(self, op.get(), &spec, error);
  });
}

Result PluginInstance::containerStart(const std::string& pod, const std::string& id, Status* status,
                                      const TestOp& op) {
  berth_container_status given{};
  given.size = sizeof given;
  Result result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_start(self, op.get(), str(pod), str(id), &given, error);
  });
  if (status != nullptr) *status = copyStatus(given);
  return result;
}

Result PluginInstance::containerKill(const std::string& pod, const std::string& id, int signal) {
  const TestOp op;
  return call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_kill(self, op.get(), str(pod), str(id), signal, 0, error);
  });
}

Result PluginInstance::containerWait(const std::string& pod, const std::string& id, Status* status,
                                     const TestOp& op) {
  berth_container_status given{};
  given.size = sizeof given;
  Result result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_wait(self, op.get(), str(pod), str(id), &given, error);
  });
  *status = copyStatus(given);
  return result;
}

Result PluginInstance::containerRemove(const std::string& pod, const std::string& id) {
  const TestOp op;
  return call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_remove(self, op.get(), str(pod), str(id), error);
  });
}

Result PluginInstance::containerUpdate(const std::string& pod, const std::string& id,
                                       const std::string& resources) {
  const TestOp op;
  return call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_update(self, op.get(), str(pod), str(id), str(resources), error);
  });
}

std::map<std::string, Stats> PluginInstance::containerStats(const std::string& pod,
                                                            const std::vector<std::string>& ids) {
  const TestOp op;
  StatsSink sink;
  std::vector<berth_str> list;
  for (const std::string& id : ids) list.push_back(str(id));
  const Result result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.container_stats(self, op.get(), str(pod), list.data(), list.size(), &sink.sink,
                                   error);
  });
  return result.ok() ? sink.found : std::map<std::string, Stats>();
}

std::map<std::string, Stats> PluginInstance::podStats(const std::string& pod) {
  const TestOp op;
  StatsSink sink;
  const Result result = call([&](const berth_runtime& runtime, void* self, berth_error* error) {
    return runtime.pod_stats(self, op.get(), str(pod), &sink.sink, error);
  });
  return result.ok() ? sink.found : std::map<std::string, Stats>();
}

}  // namespace berth::test
