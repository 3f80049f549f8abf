#include "cri/plugin_list.hpp"

#include <algorithm>
#include <iterator>

#include <boost/json.hpp>

#include "berth/extensions.h"
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

bool isUnused(std::string_view extension) {
  return extension == BERTH_EXTENSION_REMOTE_LAYERS || extension == BERTH_EXTENSION_QUOTA;
}

json::array capabilities(const plugins::Form& form) {
  json::array result;
  for (const std::string& id : form.extensions)
    if (!isUnused(id)) result.emplace_back(id);
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

std::vector<std::string> unusedExtensions(const plugins::Form& form) {
  std::vector<std::string> result;
  std::copy_if(form.extensions.begin(), form.extensions.end(), std::back_inserter(result),
               isUnused);
  return result;
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
                     {"unused", json::value_from(unusedExtensions(form))}});
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
