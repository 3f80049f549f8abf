// Checks of the options a plugin declares and of what it makes of their values.
#include <boost/json.hpp>

#include "berth/plugin.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/entry.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/raw_instance.hpp"
#include "plugin_check/side_effects.hpp"
#include "plugins/options.hpp"

namespace berth::check {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr std::string_view kTypes[] = {"string", "integer", "number", "boolean", "array", "table"};

// Values of a type that no sensible user writes.
json::array oddValues(std::string_view type) {
  if (type == "string")
    return {"", "\x01", "../..", "/nonexistent/berth-plugin-check", std::string(65536, 'x')};
  if (type == "integer") return {0, -1, INT64_MIN, INT64_MAX};
  if (type == "number") return {0.0, -1.5, 1e308, -1e308};
  if (type == "boolean") return {true, false};
  if (type == "array")
    return {json::array(),
            json::array{""},
            json::array{1},
            json::array{nullptr},
            json::array{json::object()},
            json::array{json::array{json::array()}}};
  return {json::object(), json::object{{"x", 1}}, json::object{{"", nullptr}},
          json::object{{"x", json::object{{"y", json::array{json::object()}}}}},
          json::object{{"*", "x"}}};
}

struct Declared {
  std::shared_ptr<const plugins::Library> library;
  json::array options;
};

std::optional<Declared> declared(Probe& probe) {
  Declared result{probe.library(), {}};
  if (result.library == nullptr) return std::nullopt;
  const std::string_view text = view(result.library->description().options);
  if (text.empty()) return result;
  auto parsed = support::parseJson(text, "options");
  if (!parsed.ok() || !parsed->is_array()) {
    probe.skip("its declaration of options is no JSON array");
    return std::nullopt;
  }
  result.options = parsed->get_array();
  return result;
}

void judgeDeclaration(Probe& probe, const json::value& item, std::set<std::string>& keys) {
  const json::object* option = item.if_object();
  if (!probe.expect(option != nullptr,
                    strCat("declares ", json::serialize(item), ", which is no object")))
    return;
  const std::string key = support::stringMember(*option, "key");
  if (!probe.expect(!key.empty(),
                    strCat("declares an option without a key: ", json::serialize(item))))
    return;
  probe.expect(keys.insert(key).second, strCat("declares the option ", key, " twice"));
  const std::string type = support::stringMember(*option, "type");
  const bool known = std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
  if (!probe.expect(known,
                    strCat("declares the option ", key, " with the unknown type \"", type, "\"")))
    return;
  for (const char* member : {"default", "example"}) {
    const json::value* value = option->if_contains(member);
    probe.expect(value == nullptr || plugins::hasOptionType(*value, type),
                 strCat("the ", member, " of the option ", key, " is not of the type ", type));
  }
  if (support::stringMember(*option, "help").empty())
    probe.warn(strCat("the option ", key, " has no help"));
}

void checkDeclaration(Probe& probe) {
  const auto library = probe.library();
  if (library == nullptr) return;
  const std::string_view text = view(library->description().options);
  if (text.empty()) return;
  const auto parsed = support::parseJson(text, "the declaration");
  if (!probe.succeeds(parsed.status(), "read the options it declares")) return;
  if (!probe.expect(parsed->is_array(), "its options are not declared as a JSON array")) return;
  std::set<std::string> keys;
  for (const json::value& item : parsed->get_array()) judgeDeclaration(probe, item, keys);
}

void checkValues(Probe& probe) {
  const auto plugin = declared(probe);
  if (!plugin.has_value()) return;
  const auto options = probe.options(*plugin->library);
  if (!probe.succeeds(options.status(), "read the options given")) return;
  const auto resolved =
      plugins::resolveOptions(view(plugin->library->description().options), *options);
  if (!probe.succeeds(resolved.status(), "fill in the options")) return;
  if (plugin->options.empty()) return probe.skip("takes no options");
  for (const json::value& item : plugin->options) {
    const std::string key = support::stringMember(item.as_object(), "key");
    for (const json::value& value : oddValues(support::stringMember(item.as_object(), "type"))) {
      json::object given = *resolved;
      given[key] = value;
      std::string shown = json::serialize(value).substr(0, 60);
      WatchedHost& host = WatchedHost::make(probe.path(""), "odd");
      RawInstance instance(probe, *plugin->library, host);
      if (!probe.succeeds(instance.create(), "create")) return;
      const absl::Status configured = instance.configure(json::serialize(given));
      probe.step(strCat("destroy after ", key, " = ", shown));
      // Of several problems each line names the option it is about.
      probe.expect(configured.ok() ||
                       configured.message().find(strCat("option ", key)) != absl::string_view::npos,
                   strCat("refuses ", key, " = ", shown, " without naming it (\"option ", key,
                          ": …\"): ", support::fromAbsl(configured.message())));
      instance.destroy();
      host.judge(probe);
    }
  }
}

void checkReadsOnly(Probe& probe) {
  const auto plugin = declared(probe);
  if (!plugin.has_value()) return;
  const auto options = probe.options(*plugin->library);
  if (!probe.succeeds(options.status(), "read the options given")) return;
  const auto resolved =
      plugins::resolveOptions(view(plugin->library->description().options), *options);
  if (!probe.succeeds(resolved.status(), "fill in the options")) return;
  const std::string text = json::serialize(*resolved);
  WatchedHost& host = WatchedHost::make(probe.path(""), "watched");
  RawInstance instance(probe, *plugin->library, host);
  const Surroundings before = lookAround();
  const absl::Status watching = watchSystemCalls();
  if (!watching.ok()) return probe.skip(support::fromAbsl(watching.message()));
  // Nothing but the plugin runs until the calls have been read.
  const absl::Status prepared = instance.prepare(text);
  if (instance.handle() != nullptr) instance.destroy();
  for (const std::string& call : watchedCalls())
    probe.fail(strCat("create, configure or destroy calls ", call));
  probe.succeeds(prepared, "create and configure");
  for (const std::string& difference : before.differences(lookAround())) probe.fail(difference);
  host.judge(probe);
}

}  // namespace

std::vector<Check> optionChecks() {
  return {
      {.name = "options.declaration",
       .meaning = "The declaration of options is an array of whole declarations.",
       .rule = "plugin.h, berth_plugin.options",
       .run = &checkDeclaration},
      {.name = "options.values",
       .meaning = "Values without sense are taken, or refused with the option's name.",
       .rule =
           "plugin.h, \"Who is at fault\": a message about an option begins with \"option PATH: \"",
       .run = &checkValues},
      {.name = "options.reads-only",
       .meaning = "create and configure make nothing outside of the process, and no thread.",
       .rule = "plugin.h, configure: it reads at most; start: threads begin here",
       .run = &checkReadsOnly,
       .within = true},
  };
}

}  // namespace berth::check
