// The declaration of all keys: reading, checking, defaults, dumping and documentation go by it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "config/config.hpp"

namespace berth::config {

// When a changed value takes effect.
enum class Reload {
  kLive,     // with the next operation that uses it
  kRestart,  // when the daemon starts anew
};

// A file's mode, written as a string of octal digits.
struct Mode {
  mode_t bits = 0;
  bool operator==(const Mode&) const = default;
};

using Value =
    std::variant<std::string, int64_t, Mode, std::vector<std::string>, boost::json::object>;

// What a value must be beyond its type.
struct Rule {
  std::string expects;  // in words, for messages and documentation: "an absolute path"
  // For texts, and for each element of a list; null takes any.
  std::function<bool(std::string_view)> accepts = nullptr;
  int64_t minimum = 0;  // of integers, and of the number of elements of a list
  int64_t maximum = std::numeric_limits<int64_t>::max();
};

struct Key {
  std::string_view section;  // "" for the top, "grpc", or "runtimes" for each [runtimes.NAME]
  std::string_view name;
  Value standard;  // the default; its alternative is the key's type
  Value example;   // another value that it may have, of the same type
  Rule rule;
  Reload reload;
  std::string_view doc;  // whole sentences
  // Where the value is kept: `object` is the Config, or for a section of instances the instance.
  Value (*get)(const void* object);
  void (*set)(void* object, Value value);
  bool required = false;  // must be given for each instance
};

// In the order in which they are written.
const std::vector<Key>& keys();

// An instance that is always there.
struct BuiltIn {
  std::string_view name;
  std::string_view plugin;
};

// A section whose tables are named by the operator: [runtimes.NAME].
struct InstanceSection {
  std::string_view name;
  std::string_view one;  // "runtime"
  std::vector<BuiltIn> builtIns;
  std::string_view example;  // the name of the instance that the examples of the keys make
  std::string_view doc;
  void* (*make)(Config& config, const std::string& name);  // finds or makes it, with defaults
  std::vector<std::pair<std::string, const void*>> (*all)(const Config& config);
  Place& (*place)(void* instance);

  bool isBuiltIn(std::string_view instance) const;
};
const std::vector<InstanceSection>& instanceSections();
// Null when `name` is no such section.
const InstanceSection* findInstanceSection(std::string_view name);

// The keys of a section, in order; empty when there is no such section.
std::vector<const Key*> keysOf(std::string_view section);
// All keys at their defaults, and the built-in instances; defaults that follow other keys are not
// filled in yet.
Config standardConfig();

// Names of the plain sections ("grpc", "log", ...), in order.
std::vector<std::string_view> plainSections();

// "a string", "an integer", ...
std::string_view typeName(const Value& value);
// As TOML writes it.
std::string textOf(const Value& value);
boost::json::value jsonOf(const Value& value);

}  // namespace berth::config
