// The plugins as people and tools see them.
#pragma once

#include <boost/json/array.hpp>

#include "plugins/registry.hpp"

namespace berth::cri {

// [{"name", "kind", "plugin", "version", "abi", "threading", "state", "path", "capabilities"}]
boost::json::array pluginList(const plugins::Registry& registry);

}  // namespace berth::cri
