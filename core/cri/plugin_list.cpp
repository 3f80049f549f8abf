#include "cri/plugin_list.hpp"

#include <initializer_list>

#include <boost/json.hpp>

#include "berth/extensions.h"
#include "berth/image_signatures.h"
#include "berth/plugin.hpp"
#include "berth/support/status.hpp"

namespace berth::cri {

namespace json = boost::json;

namespace {

std::string_view threadingName(berth_threading threading) {
  switch (threading) {
    case BERTH_THREADING_SERIALIZED:
      return "serialized";
    case BERTH_THREADING_PER_OBJECT:
      return "per-object";
    default:
      return "parallel";
  }
}

// Those of the ids whose extension the instance offers. They are asked for once it has started.
std::vector<std::string> offered(const plugins::Instance& instance,
                                 std::initializer_list<const char*> ids) {
  std::vector<std::string> result;
  if (instance.state() != plugins::InstanceState::kStarted) return result;
  for (const char* id : ids) {
    size_t table[32] = {};
    if (instance.extension(id, 1, table, sizeof table)) result.emplace_back(id);
  }
  return result;
}

json::array capabilities(const plugins::Form& form) {
  json::array result =
      json::value_from(
          offered(*form.instance,
                  {BERTH_EXTENSION_PAUSE, BERTH_EXTENSION_CHECKPOINT, BERTH_EXTENSION_POD_RESOURCES,
                   BERTH_EXTENSION_PORT_FORWARD, BERTH_EXTENSION_DIFF, BERTH_EXTENSION_VERIFY,
                   BERTH_EXTENSION_IMAGE_SIGNATURES}))
          .as_array();
  if (form.runtime.has_value()) {
    for (const auto& [name, value] : form.runtime->features()) {
      if (value.is_bool() && value.get_bool()) result.emplace_back(name);
    }
  }
  if (form.snapshotter.has_value()) {
    if (form.snapshotter->independentLayers()) result.emplace_back("independentLayers");
    if (form.snapshotter->mapsIds()) result.emplace_back("idMapping");
  }
  return result;
}

// The process of its own; null without one.
json::value processOf(const plugins::Instance& instance) {
  const auto process = instance.process();
  if (!process.has_value()) return nullptr;
  return json::object{{"pid", process->pid}, {"restarts", process->restarts}};
}

}  // namespace

std::vector<std::string> unusedExtensions(const plugins::Instance& instance) {
  return offered(instance, {BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_QUOTA});
}

json::array pluginList(const plugins::Registry& registry, const PodsOn& podsOn) {
  json::array list;
  const auto add = [&](const plugins::Form& form, std::string_view state) {
    const plugins::Instance& instance = *form.instance;
    const berth_plugin& description = instance.library().description();
    const bool hasPods = podsOn && (form.runtime.has_value() || form.network.has_value());
    list.push_back(
        json::object{{"name", instance.name()},
                     {"kind", plugins::kindName(instance.kind())},
                     {"plugin", view(description.name)},
                     {"version", view(description.version)},
                     {"summary", view(description.summary)},
                     {"abi", support::strCat(description.abi_major, ".", description.abi_minor)},
                     {"threading", threadingName(description.threading)},
                     {"state", state},
                     {"pods", hasPods ? json::value(podsOn(instance).size()) : json::value()},
                     {"path", instance.library().path()},
                     {"isolation", instance.process().has_value() ? "process" : "none"},
                     {"process", processOf(instance)},
                     {"capabilities", capabilities(form)},
                     {"unused", json::value_from(unusedExtensions(instance))}});
  };
  for (const auto& form : registry.serving())
    add(*form, plugins::instanceStateName(form->instance->state()));
  for (const auto& form : registry.draining()) add(*form, "draining");
  for (const plugins::Failure& failure : registry.failures()) {
    list.push_back(
        json::object{{"name", failure.wanted.name},
                     {"kind", plugins::kindName(failure.wanted.kind)},
                     {"plugin", failure.wanted.plugin},
                     {"state", plugins::instanceStateName(plugins::InstanceState::kFailed)},
                     {"error", support::fromAbsl(failure.status.message())}});
  }
  return list;
}

}  // namespace berth::cri
