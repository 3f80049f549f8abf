#include "engine/plugin_forms.hpp"

#include "berth/support/status.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

std::shared_ptr<plugins::Runtime> heldRuntime(const Pod& pod, const plugins::Registry& registry) {
  if (auto held = pod.runtime(); held != nullptr) return held;
  auto serving = registry.runtime(pod.runtimeName());
  return serving.ok() ? *std::move(serving) : nullptr;
}

absl::StatusOr<std::shared_ptr<plugins::Network>> heldNetwork(const Pod& pod,
                                                              const plugins::Registry& registry) {
  if (auto held = pod.network(); held != nullptr) return held;
  return registry.network(
      pod.peek([](const records::PodRecord& r) { return r.network().network(); }));
}

std::vector<std::string> Engine::podsOn(const plugins::Instance& form) const {
  std::vector<std::string> names;
  for (const auto& pod : pods()) {
    const auto runtime = pod->runtime();
    const auto network = pod->network();
    if ((runtime != nullptr && &runtime->instance() == &form) ||
        (network != nullptr && &network->instance() == &form))
      names.push_back(pod->peek([](const records::PodRecord& r) {
        return support::strCat(r.config().metadata().namespace_(), "/",
                               r.config().metadata().name());
      }));
  }
  return names;
}

}  // namespace berth::engine
