// The plugins as people and tools see them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "plugins/registry.hpp"

namespace berth::cri {

// What the started one offers although the engine has no use for it (berth/extensions.h).
std::vector<std::string> unusedExtensions(const plugins::Form& form);

// [{"name", "kind", "plugin", "version", "summary", "abi", "threading", "state", "path",
// "isolation", "process", "capabilities", "unused", "pods"}]. "isolation" is "none" or "process";
// with the latter "process" is {"pid", "restarts"}, else null; pid 0: there is none at this moment.
// "pods" is how many `podsOn` says are on it, null for kinds that have none. One that was replaced
// and is still in use has the state "draining". Of what could not be loaded: {"name", "kind",
// "plugin", "state": "failed", "error"}. Calls no plugin.
using PodsOn = std::function<std::vector<std::string>(const plugins::Instance&)>;
boost::json::array pluginList(const plugins::Registry& registry, const PodsOn& podsOn = nullptr);

}  // namespace berth::cri
