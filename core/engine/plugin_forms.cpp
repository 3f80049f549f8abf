#include "engine/plugin_forms.hpp"

#include "berth/support/status.hpp"
#include "engine/engine.hpp"
#include "engine/names.hpp"

namespace berth::engine {

using support::strCat;

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

absl::Status checkReached(const Pod& pod) {
  absl::Status reached = pod.reached();
  if (reached.ok()) return reached;
  return absl::UnavailableError(strCat(
      "the runtime \"", pod.runtimeName(), "\" has not said yet what became of pod sandbox ",
      pod.id(),
      " since the daemon started; it is asked again: ", support::fromAbsl(reached.message())));
}

std::vector<std::string> Engine::podsOn(const plugins::Instance& form) const {
  std::vector<std::string> names;
  for (const auto& pod : pods()) {
    const auto runtime = pod->runtime();
    const auto network = pod->network();
    if ((runtime != nullptr && &runtime->instance() == &form) ||
        (network != nullptr && &network->instance() == &form))
      names.push_back(
          pod->peek([](const records::PodRecord& r) { return spokenName(r.config().metadata()); }));
  }
  return names;
}

}  // namespace berth::engine
