#include "inner.hpp"

#include <berth/helpers.h>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <vector>

#include <climits>

namespace timed {

using berth::Status;

namespace {

// Names are looked for where this plugin's own file is.
std::string fileOf(const std::string& name) {
  static const int here = 0;
  char folder[PATH_MAX];
  if (name.find('/') != std::string::npos || berth_own_folder(&here, folder, sizeof folder) == 0)
    return name;
  return std::string(folder) + "/berth-" + name + ".so";
}

// Every function of the table is mandatory; they follow the size.
bool isComplete(const berth_runtime& calls) {
  for (size_t at = offsetof(berth_runtime, features); at < sizeof calls; at += sizeof(void*)) {
    void* function = nullptr;
    std::memcpy(&function, reinterpret_cast<const char*>(&calls) + at, sizeof function);
    if (function == nullptr) return false;
  }
  return true;
}

// Calls what leaves its message in an error argument.
template <class Call>
Status ask(Call call) {
  berth::detail::ErrorSlot slot;
  return slot.status(call(slot.get()));
}

}  // namespace

Inner::~Inner() {
  if (instance_ != nullptr) description_.destroy(instance_);
}

Status Inner::open(const berth::Host& host, const std::string& path) {
  const auto refuse = [&path](const std::string& reason) {
    return Status(BERTH_FAILED_PRECONDITION, "option plugin: " + path + " " + reason);
  };
  // Never unloaded: its threads and statics may outlive the instance.
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refuse(std::string("cannot be loaded: ") + ::dlerror());
  const auto entry =
      reinterpret_cast<berth_plugin_entry_function>(::dlsym(library, "berth_plugin_entry"));
  if (entry == nullptr) return refuse("is no plugin");
  const berth_plugin* given = entry(host.get()->abi_major, host.get()->abi_minor);
  if (given == nullptr) return refuse("refuses this host");
  description_ = berth::detail::known(given);
  if (description_.abi_major != BERTH_ABI_MAJOR || description_.required_minor > host.abiMinor())
    return refuse("is built for another version of the ABI");
  if (berth::view(description_.interface_id) != BERTH_RUNTIME_INTERFACE)
    return refuse("is no runtime");
  if (description_.threading != BERTH_THREADING_PARALLEL)
    return refuse("does not bear parallel calls, which this plugin declares to");
  calls_ = berth::detail::known(static_cast<const berth_runtime*>(description_.functions));
  return isComplete(calls_) ? Status() : refuse("lacks functions");
}

// The host has seen to this plugin's options; to the other one's, it is this plugin that has to:
// unknown keys are errors, defaults are filled in.
Status Inner::complete(std::string_view given, std::string& options) const {
  std::vector<std::string> known;
  berth_json all = berth_json_open(description_.options);
  for (berth_str declared; berth_json_next(&all, nullptr, &declared) != 0;) {
    char key[256] = "";
    if (berth_json_string(declared, "key", key, sizeof key) == 0) continue;
    known.emplace_back(key);
    berth_str value = berth_json_member(berth::str(given), key);
    if (value.size == 0) value = berth_json_member(declared, "default");
    if (value.size == 0)
      return {BERTH_INVALID_ARGUMENT, "option options." + known.back() + ": is required"};
    options += (options.empty() ? "{\"" : ", \"") + known.back() + "\": " + berth::copy(value);
  }
  options += options.empty() ? "{}" : "}";
  berth_json members = berth_json_open(berth::str(given));
  for (berth_str key; berth_json_next(&members, &key, nullptr) != 0;) {
    bool found = false;
    for (const std::string& one : known) found = found || one == berth::view(key);
    if (!found)
      return {BERTH_INVALID_ARGUMENT, "option options." + berth::copy(key) + ": is not known"};
  }
  return {};
}

Status Inner::load(const berth::Host& host, const std::string& name, std::string_view options) {
  if (Status status = open(host, fileOf(name)); !status.ok()) return status;
  std::string completed;
  if (Status status = complete(options, completed); !status.ok()) return status;
  Status status =
      ask([&](berth_error* error) { return description_.create(host.get(), &instance_, error); });
  if (!status.ok()) return status;
  return ask([&](berth_error* error) {
    return description_.configure(instance_, berth::str(completed), error);
  });
}

Status Inner::start() {
  return ask([this](berth_error* error) { return description_.start(instance_, error); });
}

void Inner::stop() {
  description_.stop(instance_);
}

Status Inner::examine(const berth::Op& op, berth_finding_sink* out) const {
  if (description_.examine == nullptr) return {};
  return ask(
      [&](berth_error* error) { return description_.examine(instance_, op.get(), out, error); });
}

}  // namespace timed
