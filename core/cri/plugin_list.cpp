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

json::array capabilities(const plugins::Instance& instance, const plugins::Registry& registry) {
  json::array result =
      json::value_from(
          offered(instance,
                  {BERTH_EXTENSION_PAUSE, BERTH_EXTENSION_CHECKPOINT, BERTH_EXTENSION_POD_RESOURCES,
                   BERTH_EXTENSION_PORT_FORWARD, BERTH_EXTENSION_DIFF, BERTH_EXTENSION_VERIFY,
                   BERTH_EXTENSION_IMAGE_SIGNATURES}))
          .as_array();
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
  const auto row = [&](const std::shared_ptr<plugins::Instance>& instance) {
    const berth_plugin& description = instance->library().description();
    return json::object{{"name", instance->name()},
                        {"kind", plugins::kindName(instance->kind())},
                        {"plugin", view(description.name)},
                        {"version", view(description.version)},
                        {"summary", view(description.summary)},
                        {"abi", support::strCat(description.abi_major, ".", description.abi_minor)},
                        {"threading", threadingName(description.threading)},
                        {"state", plugins::instanceStateName(instance->state())},
                        {"path", instance->library().path()},
                        {"isolation", instance->process().has_value() ? "process" : "none"},
                        {"process", processOf(*instance)},
                        {"capabilities", capabilities(*instance, registry)},
                        {"unused", json::value_from(unusedExtensions(*instance))}};
  };
  for (const auto& instance : registry.instances()) list.push_back(row(instance));
  for (const auto& instance : registry.draining()) {
    json::object one = row(instance);
    one["state"] = "draining";
    one["pods"] = podsOn ? podsOn(*instance).size() : 0;
    list.push_back(std::move(one));
  }
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
