#include "cri/plugin_list.hpp"

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

json::array capabilities(const plugins::Instance& instance, const plugins::Registry& registry) {
  json::array result;
  // Extensions are asked for once the instance has started.
  if (instance.state() == plugins::InstanceState::kStarted) {
    for (const char* id :
         {BERTH_EXTENSION_PAUSE, BERTH_EXTENSION_CHECKPOINT, BERTH_EXTENSION_POD_RESOURCES,
          BERTH_EXTENSION_PORT_FORWARD, BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_DIFF,
          BERTH_EXTENSION_QUOTA}) {
      size_t table[32] = {};
      if (instance.extension(id, 1, table, sizeof table)) result.emplace_back(id);
    }
  }
  if (instance.kind() == plugins::Kind::kRuntime) {
    if (auto runtime = registry.runtime(instance.name()); runtime.ok()) {
      for (const auto& [name, value] : (*runtime)->features()) {
        if (value.is_bool() && value.get_bool()) result.emplace_back(name);
      }
    }
  }
  if (instance.kind() == plugins::Kind::kSnapshotter) {
    if (auto snapshotter = registry.snapshotter(instance.name()); snapshotter.ok()) {
      if ((*snapshotter)->independentLayers()) result.emplace_back("independentLayers");
      if ((*snapshotter)->mapsIds()) result.emplace_back("idMapping");
    }
  }
  return result;
}

}  // namespace

json::array pluginList(const plugins::Registry& registry) {
  json::array list;
  for (const auto& instance : registry.instances()) {
    const berth_plugin& description = instance->library().description();
    list.push_back(
        json::object{{"name", instance->name()},
                     {"kind", plugins::kindName(instance->kind())},
                     {"plugin", view(description.name)},
                     {"version", view(description.version)},
                     {"summary", view(description.summary)},
                     {"abi", support::strCat(description.abi_major, ".", description.abi_minor)},
                     {"threading", threadingName(description.threading)},
                     {"state", plugins::instanceStateName(instance->state())},
                     {"path", instance->library().path()},
                     {"capabilities", capabilities(*instance, registry)}});
  }
  return list;
}

}  // namespace berth::cri
