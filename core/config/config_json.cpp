#include <boost/json.hpp>

#include "config/config.hpp"
#include "config/keys.hpp"
#include "config/secrets.hpp"

namespace berth::config {
namespace {

namespace bj = boost::json;

void addKeys(std::string_view section, const void* object, bj::object& target) {
  for (const Key* key : keysOf(section))
    target[key->name] = jsonOf(withoutSecrets(key->get(object)));
}

}  // namespace

bj::value jsonOf(const Value& value) {
  struct Writer {
    bj::value operator()(const std::string& text) const { return bj::value(text); }
    bj::value operator()(int64_t number) const { return number; }
    bj::value operator()(const std::vector<std::string>& list) const {
      return bj::value_from(list);
    }
    bj::value operator()(const bj::object& options) const { return options; }
    bj::value operator()(Mode mode) const {
      // As the file has it: four octal digits between quotation marks.
      const std::string quoted = textOf(mode);
      return bj::value(quoted.substr(1, quoted.size() - 2));
    }
  };
  return std::visit(Writer(), value);
}

bj::object toJson(const Config& config) {
  bj::object document;
  addKeys("", &config, document);
  for (const std::string_view section : plainSections()) {
    addKeys(section, &config, document[section].emplace_object());
  }
  for (const InstanceSection& section : instanceSections()) {
    bj::object& instances = document[section.name].emplace_object();
    for (const auto& [name, instance] : section.all(config)) {
      addKeys(section.name, instance, instances[name].emplace_object());
    }
  }
  return document;
}

}  // namespace berth::config
