// The forms of plugins that pods are on.
#include "berth/support/status.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

std::vector<std::string> Engine::podsOn(const plugins::Instance& form) const {
  std::vector<std::string> names;
  for (const auto& pod : pods()) {
    const auto network = pod->network();
    if ((pod->runtime() != nullptr && &pod->runtime()->instance() == &form) ||
        (network != nullptr && &network->instance() == &form))
      names.push_back(pod->peek([](const records::PodRecord& r) {
        return support::strCat(r.config().metadata().namespace_(), "/",
                               r.config().metadata().name());
      }));
  }
  return names;
}

}  // namespace berth::engine
