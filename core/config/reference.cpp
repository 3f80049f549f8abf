#include "config/reference.hpp"

#include "berth/support/json.hpp"
#include "config/config.hpp"
#include "config/keys.hpp"

namespace berth::config {
namespace {

namespace bj = boost::json;

bj::object describe(const Key& key) {
  bj::object described{{"key", key.name},
                       {"type", typeName(key.standard)},
                       {"expects", key.rule.expects},
                       {"example", jsonOf(key.example)},
                       {"reload", key.reload == Reload::kLive ? "live" : "restart"},
                       {"doc", key.doc}};
  if (!key.required) described["default"] = jsonOf(key.standard);
  return described;
}

bj::object describe(std::string_view section) {
  bj::array all;
  for (const Key* key : keysOf(section)) all.push_back(describe(*key));
  return {{"name", section}, {"keys", std::move(all)}};
}

bj::object describe(const InstanceSection& section) {
  bj::object described = describe(section.name);
  described["doc"] = section.doc;
  bj::object builtIns;
  for (const BuiltIn& one : section.builtIns) builtIns[one.name] = one.plugin;
  described["instances"] = {
      {"one", section.one}, {"builtIn", std::move(builtIns)}, {"example", section.example}};
  return described;
}

}  // namespace

bj::array declaredOptions(std::string_view declaration) {
  bj::array options;
  const auto declared = support::parseJson(declaration, "the options of a plugin");
  if (!declared.ok() || !declared->is_array()) return options;
  for (const bj::value& item : declared->get_array()) {
    const bj::object* option = item.if_object();
    if (option != nullptr && !support::stringMember(*option, "key").empty())
      options.push_back(*option);
  }
  return options;
}

bj::object reference(const std::map<std::string, std::string>& declarations) {
  bj::array sections{describe("")};
  for (const std::string_view section : plainSections()) sections.push_back(describe(section));
  for (const InstanceSection& section : instanceSections()) sections.push_back(describe(section));
  bj::array plugins;
  for (const auto& [name, declaration] : declarations)
    plugins.push_back({{"name", name}, {"options", declaredOptions(declaration)}});
  return {{"sections", std::move(sections)}, {"plugins", std::move(plugins)}};
}

}  // namespace berth::config
