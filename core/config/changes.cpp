#include "config/changes.hpp"

#include <algorithm>
#include <map>

#include "config/document.hpp"
#include "config/secrets.hpp"

namespace berth::config {
namespace {

void addChanges(std::string_view section, std::string_view parent, const void* before,
                const void* after, std::vector<Change>& changes) {
  for (const Key* key : keysOf(section)) {
    const Value from = key->get(before);
    const Value to = key->get(after);
    if (textOf(from) != textOf(to))
      changes.push_back({parent.empty() ? std::string(key->name) : joinKey(parent, key->name),
                         textOf(withoutSecrets(from)), textOf(withoutSecrets(to)), key->reload});
  }
}

void addInstanceChanges(const InstanceSection& section, const Config& before, const Config& after,
                        std::vector<Change>& changes) {
  const auto all = section.all(after);
  std::map<std::string, const void*> left(all.begin(), all.end());
  for (const auto& [name, instance] : section.all(before)) {
    const std::string path = joinKey(section.name, name);
    const auto found = left.find(name);
    if (found == left.end()) {
      changes.push_back({path, "there", "", Reload::kRestart});
      continue;
    }
    addChanges(section.name, path, instance, found->second, changes);
    left.erase(found);
  }
  for (const auto& [name, instance] : left)
    changes.push_back({joinKey(section.name, name), "", "there", Reload::kRestart});
}

void takeLiveValues(std::string_view section, void* running, const void* wanted) {
  for (const Key* key : keysOf(section))
    if (key->reload == Reload::kLive) key->set(running, key->get(wanted));
}

}  // namespace

std::vector<Change> changesBetween(const Config& before, const Config& after) {
  std::vector<Change> changes;
  addChanges("", "", &before, &after, changes);
  for (const std::string_view section : plainSections())
    addChanges(section, section, &before, &after, changes);
  for (const InstanceSection& section : instanceSections())
    addInstanceChanges(section, before, after, changes);
  return changes;
}

Config withLiveChanges(Config running, const Config& wanted) {
  running.keys = wanted.keys;
  takeLiveValues("", &running, &wanted);
  for (const std::string_view section : plainSections()) takeLiveValues(section, &running, &wanted);
  for (const InstanceSection& section : instanceSections()) {
    const auto all = section.all(running);
    for (const auto& [name, instance] : section.all(wanted)) {
      const bool known = std::any_of(all.begin(), all.end(), [&name = name](const auto& entry) {
        return entry.first == name;
      });
      if (known) takeLiveValues(section.name, section.make(running, name), instance);
    }
  }
  return running;
}

}  // namespace berth::config
