#include "config/keys.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "berth/support/status.hpp"
#include "config/rules.hpp"
#include "config/toml_text.hpp"

namespace berth::config {
namespace {

using Strings = std::vector<std::string>;
using Options = boost::json::object;

template <auto Map>
InstanceSection section(std::string_view name, std::string_view one,
                        std::vector<BuiltIn>&& builtIns, std::string_view example,
                        std::string_view doc) {
  using Instance =
      typename std::remove_cvref_t<decltype(std::declval<Config&>().*Map)>::mapped_type;
  return {
      .name = name,
      .one = one,
      .builtIns = std::move(builtIns),
      .example = example,
      .doc = doc,
      .make = [](Config& config, const std::string& instance) -> void* {
        return &(config.*Map)[instance];
      },
      .all =
          [](const Config& config) {
            std::vector<std::pair<std::string, const void*>> result;
            for (const auto& [instance, value] : config.*Map) result.emplace_back(instance, &value);
            return result;
          },
      .place = [](void* instance) -> Place& { return static_cast<Instance*>(instance)->place; }};
}

}  // namespace

const std::vector<InstanceSection>& instanceSections() {
  static const std::vector<InstanceSection> all = {
      section<&Config::runtimes>("runtimes", "runtime", {{"runc", "runtime-runc"}}, "kata",
                                 "Runtimes; the name is the handler of a RuntimeClass."),
      section<&Config::snapshotters>("snapshotters", "snapshotter",
                                     {{"overlay", "snapshotter-overlay"}}, "nvme",
                                     "Keepers of layers."),
      section<&Config::sources>(
          "sources", "source", {{"registry", "registry-v2"}, {"layout", "source-oci-layout"}},
          "layout", "Places that images come from; whether pulls ask them, images.sources says."),
      section<&Config::networks>("networks", "network", {{"cni", "network-cni"}}, "calico",
                                 "Providers of pod networks.")};
  return all;
}

bool InstanceSection::isBuiltIn(std::string_view instance) const {
  return std::any_of(builtIns.begin(), builtIns.end(),
                     [&](const BuiltIn& each) { return each.name == instance; });
}

const InstanceSection* findInstanceSection(std::string_view name) {
  for (const InstanceSection& candidate : instanceSections())
    if (candidate.name == name) return &candidate;
  return nullptr;
}

std::vector<const Key*> keysOf(std::string_view section) {
  std::vector<const Key*> result;
  for (const Key& candidate : keys())
    if (candidate.section == section) result.push_back(&candidate);
  return result;
}

Config standardConfig() {
  Config config;
  for (const Key& key : keys())
    if (findInstanceSection(key.section) == nullptr) key.set(&config, key.standard);
  for (const InstanceSection& section : instanceSections()) {
    for (const BuiltIn& builtIn : section.builtIns) {
      void* instance = section.make(config, std::string(builtIn.name));
      for (const Key* key : keysOf(section.name))
        key->set(instance, key->required ? Value(std::string(builtIn.plugin)) : key->standard);
    }
  }
  return config;
}

std::vector<std::string_view> plainSections() {
  std::vector<std::string_view> result;
  for (const Key& candidate : keys()) {
    if (candidate.section.empty() || findInstanceSection(candidate.section) != nullptr) continue;
    if (result.empty() || result.back() != candidate.section) result.push_back(candidate.section);
  }
  return result;
}

std::string_view typeName(const Value& value) {
  constexpr std::array<std::string_view, std::variant_size_v<Value>> kNames = {
      "a string", "an integer", "a string of octal digits", "an array of strings", "a table"};
  return kNames[value.index()];
}

std::string textOf(const Value& value) {
  struct Writer {
    std::string operator()(const std::string& text) const { return quote(text); }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(Mode mode) const {
      std::string digits = "0000";
      for (size_t i = 0; i < 4; ++i)
        digits[3 - i] = static_cast<char>('0' + ((mode.bits >> (3 * i)) & 7));
      return quote(digits);
    }
    std::string operator()(const Strings& list) const { return arrayText(list); }
    std::string operator()(const Options& options) const { return valueText(options); }
  };
  return std::visit(Writer(), value);
}

}  // namespace berth::config
