// Pods that stand for the suites density, stats, idle and restart.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine_processes.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {

// Of one engine. The helpers are those before any restart.
struct Standing {
  Engine* engine = nullptr;
  std::unique_ptr<Population> population;
  std::vector<Helper> helpers;
};

using Standings = std::map<Engine*, Standing>;

absl::Status runIdle(Bench& bench, Sweep& sweep, const Standings& standings);

}  // namespace berth::bench
