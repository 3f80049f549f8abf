// C++ wrapper of the Berth plugin ABI: derive from Runtime, Snapshotter, ImageSource or Network and
// name the class with BERTH_PLUGIN. Header-only, C++20, needs the standard library alone.
//
// The wrapper adapts sizes of structs, catches exceptions (they become INTERNAL), and turns
// Status into the ABI's error argument. Everything else is as the C headers say.
#pragma once

#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/plugin.h"

namespace berth {

// Views of the ABI's strings and back; nothing is copied.
inline std::string_view view(berth_str text) {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}
inline std::string copy(berth_str text) {
  return std::string(view(text));
}
inline std::string_view view(berth_bytes bytes) {
  return bytes.data == nullptr ? std::string_view()
                               : std::string_view(static_cast<const char*>(bytes.data), bytes.size);
}
inline berth_str str(std::string_view text) {
  return {text.data(), text.size()};
}
inline berth_bytes bytes(std::string_view text) {
  return {text.data(), text.size()};
}

// The result of a call: OK, or a code and a message. Any type with ok(), code() and message()
// converts to it, absl::Status among them.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(berth_code code, std::string message) : code_(code), message_(std::move(message)) {}
  template <class Other>
  requires requires(const Other& other) {
    {other.ok()};
    {static_cast<berth_code>(other.code())};
    {other.message().data()};
    {other.message().size()};
  }
  Status(const Other& other)  // NOLINT: the conversion is the point
      : code_(static_cast<berth_code>(other.code())),
        message_(other.message().data(), other.message().size()) {}

  bool ok() const { return code_ == BERTH_OK; }
  berth_code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  berth_code code_ = BERTH_OK;
  std::string message_;
};

// One long call (berth_op). Borrowed: valid during the call.
class Op {
 public:
  explicit Op(const berth_op* op) : op_(op) {}
  int64_t deadline() const { return op_ != nullptr ? op_->deadline : INT64_MAX; }
  int cancelFd() const { return op_ != nullptr ? op_->cancel_fd : -1; }
  bool cancelled() const { return op_ != nullptr && op_->cancelled(op_) != 0; }
  void stage(std::string_view name) const {
    if (op_ != nullptr) op_->stage(op_, str(name));
  }
  void progress(uint64_t done, uint64_t total) const {
    if (op_ != nullptr) op_->progress(op_, done, total);
  }
  const berth_op* get() const { return op_; }

 private:
  const berth_op* op_;
};

// Where a call writes bytes (berth_sink). A failed write ends the call with that status.
class Sink {
 public:
  explicit Sink(berth_sink* sink) : sink_(sink) {}
  Status write(std::string_view data) {
    const berth_code code = sink_->write(sink_, data.data(), data.size());
    return code == BERTH_OK ? Status() : Status(code, "the host takes no more bytes");
  }

 private:
  berth_sink* sink_;
};

// Receives what an examination finds (berth_finding_sink).
class Findings {
 public:
  explicit Findings(berth_finding_sink* sink) : sink_(sink) {}
  void ok(std::string_view what, std::string_view detail) { add(BERTH_FINDING_OK, what, detail); }
  void limited(std::string_view what, std::string_view detail) {
    add(BERTH_FINDING_LIMITED, what, detail);
  }
  void refused(std::string_view what, std::string_view detail) {
    add(BERTH_FINDING_REFUSED, what, detail);
  }
  void add(berth_finding_kind kind, std::string_view what, std::string_view detail) {
    const berth_finding finding{sizeof finding, kind, 0, str(what), str(detail)};
    sink_->add(sink_, &finding);
  }

 private:
  berth_finding_sink* sink_;
};

// The host's functions (berth_host). Copyable; valid until the plugin is destroyed.
class Host {
 public:
  using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  explicit Host(const berth_host* host) : host_(host) {}

  std::string_view instance() const { return view(host_->instance); }
  // The ABI that the host speaks: what a later minor version has added is only there from then on.
  uint32_t abiMinor() const { return host_->abi_minor; }
  // Directories of this instance alone; the second one does not outlive a reboot.
  std::string_view rootDirectory() const { return view(host_->root_directory); }
  std::string_view stateDirectory() const { return view(host_->state_directory); }
  void log(berth_log_level level, std::string_view message, Fields fields = {}) const {
    std::vector<berth_pair> pairs;
    pairs.reserve(fields.size());
    for (const auto& [key, value] : fields) pairs.push_back({str(key), str(value)});
    host_->log(host_->context, level, str(message), pairs.data(), pairs.size());
  }
  void debug(std::string_view message, Fields fields = {}) const {
    log(BERTH_LOG_DEBUG, message, fields);
  }
  void info(std::string_view message, Fields fields = {}) const {
    log(BERTH_LOG_INFO, message, fields);
  }
  void warn(std::string_view message, Fields fields = {}) const {
    log(BERTH_LOG_WARNING, message, fields);
  }
  void error(std::string_view message, Fields fields = {}) const {
    log(BERTH_LOG_ERROR, message, fields);
  }
  // `event.size` is filled in.
  void emit(berth_event event) const {
    event.size = sizeof event;
    host_->emit_event(host_->context, &event);
  }
  Status saveState(std::string_view object, std::string_view state) const;
  // Calls found(const berth_credentials&) when the host has some for this registry.
  template <class Found>
  Status getCredentials(const Op& op, std::string_view registry, Found found) const;
  // Memory that release() alone frees, or null; see berth_host.
  void* allocate(size_t bytes) const { return host_->allocate(host_->context, bytes); }
  void release(void* memory) const { host_->release(host_->context, memory); }
  // The host's function table of that id as `Table` knows it; nothing of it is set when the host
  // has none: its `size` is 0 then. Ask once.
  template <class Table>
  Table extension(std::string_view id, uint32_t revision) const;
  const berth_host* get() const { return host_; }

 private:
  const berth_host* host_;
};

// What every plugin class derives from, through the class of its kind.
class Plugin {
 public:
  explicit Plugin(Host host) : host_(host) {}
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  virtual ~Plugin() = default;

  // `options` is a JSON object whose keys, types and defaults the host has seen to.
  virtual Status configure(std::string_view options) = 0;
  virtual Status start() { return {}; }
  virtual void stop() {}
  // For function tables of one's own. Those of berth/extensions.h: berth/extensions.hpp.
  virtual const void* extension(std::string_view /*id*/, uint32_t /*revision*/) { return nullptr; }
  // berth_plugin.examine: what start() would refuse and what this host lacks.
  virtual Status examine(const Op& /*op*/, Findings& /*out*/) { return {}; }

 protected:
  const Host& host() const { return host_; }

 private:
  Host host_;
};

namespace detail {

// What the other side knows of a struct, the rest zero.
template <class T>
T known(const T* given) {
  T result;
  std::memset(static_cast<void*>(&result), 0, sizeof result);
  if (given != nullptr) {
    std::memcpy(static_cast<void*>(&result), given,
                given->size < sizeof result ? given->size : sizeof result);
  }
  result.size = sizeof result;
  return result;
}

// Fills the caller's struct as far as the caller knows it; its size stays.
template <class T>
void give(T* target, const T& value) {
  if (target == nullptr) return;
  const size_t theirs = target->size;
  std::memcpy(static_cast<void*>(target), &value, theirs < sizeof value ? theirs : sizeof value);
  target->size = theirs;
}

inline berth_code report(const Status& status, berth_error* error) {
  return status.ok() ? static_cast<berth_code>(BERTH_OK)
                     : berth_fail(error, status.code(), str(status.message()));
}

// Runs `body`; nothing it throws gets out.
template <class Body>
berth_code guard(berth_error* error, Body body) noexcept {
  try {
    return report(body(), error);
  } catch (const std::bad_alloc&) {
    return berth_fail(error, BERTH_RESOURCE_EXHAUSTED, str("out of memory"));
  } catch (const std::exception& exception) {
    return berth_fail(error, BERTH_INTERNAL, str(exception.what()));
  } catch (...) {
    return berth_fail(error, BERTH_INTERNAL, str("an exception of unknown type"));
  }
}

// An error argument that keeps what it is given.
class ErrorSlot {
 public:
  ErrorSlot() : error_{sizeof(berth_error), this, &ErrorSlot::set} {}
  berth_error* get() { return &error_; }
  Status status(berth_code code) const {
    return code == BERTH_OK ? Status() : Status(code, message_);
  }

 private:
  static void set(berth_error* error, berth_code /*code*/, berth_str message) {
    static_cast<ErrorSlot*>(error->host)->message_ = copy(message);
  }
  berth_error error_;
  std::string message_;
};

// The life cycle functions for a class `T` of kind `Kind`; instances cross as Kind*.
template <class T, class Kind>
struct LifeCycle {
  static berth_code create(const berth_host* host, void** instance, berth_error* error) {
    return guard(error, [&]() -> Status {
      *instance = static_cast<Kind*>(new T(Host(host)));
      return {};
    });
  }
  static berth_code configure(void* instance, berth_str options, berth_error* error) {
    return guard(error, [&] { return self(instance).configure(view(options)); });
  }
  static berth_code start(void* instance, berth_error* error) {
    return guard(error, [&] { return self(instance).start(); });
  }
  static void stop(void* instance) {
    guard(nullptr, [&]() -> Status {
      self(instance).stop();
      return {};
    });
  }
  static void destroy(void* instance) { delete static_cast<Kind*>(instance); }
  static const void* extension(void* instance, berth_str id, uint32_t revision) {
    const void* found = nullptr;
    guard(nullptr, [&]() -> Status {
      found = self(instance).extension(view(id), revision);
      return {};
    });
    // Of a class that derives from Extensions<…>.
    if constexpr (requires { T::template findExtension<T>(view(id), revision); }) {
      if (found == nullptr) found = T::template findExtension<T>(view(id), revision);
    }
    return found;
  }
  static berth_code examine(void* instance, const berth_op* op, berth_finding_sink* out,
                            berth_error* error) {
    return guard(error, [&] {
      Findings findings(out);
      return self(instance).examine(Op(op), findings);
    });
  }

 private:
  static Plugin& self(void* instance) { return *static_cast<Kind*>(instance); }
};

}  // namespace detail

inline Status Host::saveState(std::string_view object, std::string_view state) const {
  detail::ErrorSlot slot;
  return slot.status(host_->save_state(host_->context, str(object), bytes(state), slot.get()));
}

template <class Found>
Status Host::getCredentials(const Op& op, std::string_view registry, Found found) const {
  detail::ErrorSlot slot;
  auto call = [](void* user, const berth_credentials* credentials) {
    (*static_cast<Found*>(user))(detail::known(credentials));
  };
  return slot.status(
      host_->get_credentials(host_->context, op.get(), str(registry), call, &found, slot.get()));
}

template <class Table>
Table Host::extension(std::string_view id, uint32_t revision) const {
  const auto* found =
      static_cast<const Table*>(host_->get_extension(host_->context, str(id), revision));
  return found != nullptr ? detail::known(found) : Table{};
}

// What a plugin says of itself; all members static data.
struct Description {
  std::string_view name;
  std::string_view version;
  std::string_view summary;
  berth_threading threading = BERTH_THREADING_PARALLEL;
  std::string_view options;    // JSON array, see berth_plugin.options
  uint32_t requiredMinor = 0;  // the lowest minor version of the ABI that it can do with
};

namespace detail {
template <class T>
berth_plugin describe(const Description& description) {
  using Kind = typename T::Kind;
  using Life = LifeCycle<T, Kind>;
  berth_plugin plugin;
  std::memset(&plugin, 0, sizeof plugin);
  plugin.size = sizeof plugin;
  plugin.abi_major = BERTH_ABI_MAJOR;
  plugin.abi_minor = BERTH_ABI_MINOR;
  plugin.required_minor = description.requiredMinor;
  plugin.threading = description.threading;
  plugin.name = str(description.name);
  plugin.version = str(description.version);
  plugin.summary = str(description.summary);
  plugin.interface_id = str(Kind::kInterface);
  plugin.functions = Kind::functions();
  plugin.options = str(description.options);
  plugin.create = &Life::create;
  plugin.configure = &Life::configure;
  plugin.start = &Life::start;
  plugin.stop = &Life::stop;
  plugin.destroy = &Life::destroy;
  plugin.get_extension = &Life::extension;
  plugin.examine = &Life::examine;
  return plugin;
}
}  // namespace detail

}  // namespace berth

// The plugin's entry: BERTH_PLUGIN(MySnapshotter, {.name = "…", .version = "…", …})
#define BERTH_PLUGIN(Class, ...)                                                           \
  extern "C" BERTH_EXPORT const berth_plugin* berth_plugin_entry(uint32_t abi_major,       \
                                                                 uint32_t /*abi_minor*/) { \
    static const berth_plugin plugin =                                                     \
        ::berth::detail::describe<Class>(::berth::Description __VA_ARGS__);                \
    return abi_major == BERTH_ABI_MAJOR ? &plugin : nullptr;                               \
  }
