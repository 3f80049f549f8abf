#include <algorithm>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "config/config.hpp"
#include "config/document.hpp"
#include "config/keys.hpp"
#include "config/reference.hpp"
#include "config/secrets.hpp"
#include "config/toml_text.hpp"

namespace berth::config {
namespace {

using support::strCat;

constexpr size_t kLineWidth = 98;

// Wrapped into lines that begin with "#".
std::string comment(std::string_view text) {
  std::string result;
  size_t width = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const bool fits = width > 0 && width + 1 + word.size() <= kLineWidth;
    if (!fits) {
      result.append(result.empty() ? "#" : "\n#");
      width = 1;
    }
    result.append(" ").append(word);
    width += 1 + word.size();
  }
  result.append("\n");
  return result;
}

std::string assignments(std::string_view section, const void* object) {
  std::string text;
  for (const Key* key : keysOf(section)) {
    const Value value = withoutSecrets(key->get(object));
    if (!std::holds_alternative<boost::json::object>(value))
      text += strCat(key->name, " = ", textOf(value), "\n");
  }
  return text;
}

std::string instanceText(std::string_view section, const std::string& name, const void* instance) {
  const std::string path = joinKey(section, name);
  std::string text = strCat("\n[", path, "]\n", assignments(section, instance));
  for (const Key* key : keysOf(section)) {
    const Value value = withoutSecrets(key->get(instance));
    if (const auto* options = std::get_if<boost::json::object>(&value))
      if (!options->empty()) text += strCat("\n", tableText(*options, joinKey(path, key->name)));
  }
  return text;
}

std::string explained(const Key& key, const Value& value) {
  if (std::holds_alternative<boost::json::object>(value)) return {};
  std::string text = "\n";
  const bool isList = std::holds_alternative<std::vector<std::string>>(value);
  text += comment(
      strCat(key.doc, " Takes ", isList ? "an array, each element " : "", key.rule.expects, "."));
  return text + strCat("#", key.name, " = ", textOf(value), "\n");
}

std::string_view articleOf(std::string_view type) {
  if (type == "boolean") return "true or false";
  if (type == "string") return "a string";
  if (type == "integer") return "an integer";
  if (type == "number") return "a number";
  return type == "array" ? "an array" : "a table";
}

std::string explainedOptions(std::string_view declaration) {
  std::string text;
  for (const boost::json::value& item : declaredOptions(declaration)) {
    const boost::json::object& option = item.get_object();
    const boost::json::value* standard = option.if_contains("default");
    const std::string name = keyText(support::stringMember(option, "key"));
    const std::string takes = strCat(" Takes ", articleOf(support::stringMember(option, "type")),
                                     standard == nullptr ? " and is required." : ".");
    text += strCat("\n", comment(strCat(support::stringMember(option, "help"), takes)));
    text += standard == nullptr ? strCat("#", name, " =\n")
                                : strCat("#", name, " = ", valueText(*standard), "\n");
  }
  return text;
}

std::string defaultInstance(const InstanceSection& section, const BuiltIn& builtIn, Config& config,
                            const std::map<std::string, std::string>& declarations) {
  const std::string path = joinKey(section.name, builtIn.name);
  std::string text = strCat("\n", comment(section.doc), "[", path, "]\n");
  const void* instance = section.make(config, std::string(builtIn.name));
  for (const Key* key : keysOf(section.name)) text += explained(*key, key->get(instance));
  for (const Key* key : keysOf(section.name))
    if (std::holds_alternative<boost::json::object>(key->standard)) {
      text += strCat("\n", comment(key->doc), "[", joinKey(path, key->name), "]\n");
      const auto declared = declarations.find(std::string(builtIn.plugin));
      if (declared != declarations.end()) text += explainedOptions(declared->second);
    }
  return text;
}

}  // namespace

std::string dump(const Config& config) {
  std::string text = assignments("", &config);
  for (const std::string_view section : plainSections())
    text += strCat("\n[", section, "]\n", assignments(section, &config));
  for (const InstanceSection& section : instanceSections())
    for (const auto& [name, instance] : section.all(config))
      text += instanceText(section.name, name, instance);
  return text;
}

std::string defaultFile(const std::map<std::string, std::string>& declarations) {
  Config config = standardConfig();
  std::string text = comment(
      "The configuration of Berth. Every key stands here at its default and commented out; remove "
      "the \"#\" before it to change it. Files in /etc/berth/berth.toml.d are read after this one, "
      "in the order of their names, and override it key by key. \"berth config check\" checks it, "
      "\"berth config show\" prints what holds.");
  for (const Key* key : keysOf("")) text += explained(*key, key->get(&config));
  for (const std::string_view section : plainSections()) {
    text += strCat("\n[", section, "]\n");
    for (const Key* key : keysOf(section)) text += explained(*key, key->get(&config));
  }
  for (const InstanceSection& section : instanceSections())
    for (const BuiltIn& builtIn : section.builtIns)
      text += defaultInstance(section, builtIn, config, declarations);
  return text;
}

}  // namespace berth::config
