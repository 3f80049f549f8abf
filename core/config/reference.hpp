// What there is to configure, as data: documentation is made of it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace berth::config {

// The options of a plugin as it declares them (berth_plugin.options); those without a key, and a
// declaration that is no array of objects, are left out.
boost::json::array declaredOptions(std::string_view declaration);

// {"sections": [{"name", "doc", "keys": […]}], "plugins": [{"name", "options": […]}]}, in the order
// in which keys are written. A key has "key", "type", "expects", "example", "reload" ("live" or
// "restart"), "doc", and "default" unless it is required; a section whose tables the operator names
// has "instances": {"one", "builtIn": {name: plugin, …}, "example"}. `declarations` as for
// defaultFile().
boost::json::object reference(const std::map<std::string, std::string>& declarations);

}  // namespace berth::config
