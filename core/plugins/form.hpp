// One version of a plugin as an instance of the configuration.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "plugins/background.hpp"
#include "plugins/image_source.hpp"
#include "plugins/instance.hpp"
#include "plugins/network.hpp"
#include "plugins/runtime.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::plugins {

// The instance with the wrapper of its kind; the other three are empty. Whoever uses the plugin
// holds a share of a part and so of all: when the last one is gone the instance is stopped and
// destroyed, in the background, since that may be within a call of the plugin itself.
struct Form {
  static std::shared_ptr<Form> make(std::unique_ptr<Instance> instance,
                                    std::shared_ptr<Background> background);
  // After the start, once: what the instance offers.
  absl::Status learn();

  // Goes when the instance has been destroyed, which the last share does not wait for.
  const std::shared_ptr<const void> life = std::make_shared<int>();
  const std::unique_ptr<Instance> instance;
  std::optional<Runtime> runtime;
  std::optional<Snapshotter> snapshotter;
  std::optional<ImageSource> source;
  std::optional<Network> network;
  std::vector<std::string> extensions;  // those of the headers that it offers

 private:
  explicit Form(std::unique_ptr<Instance> given);
};

// A share of one part; null where there is no form, or it has none of this kind.
template <class T>
std::shared_ptr<T> share(const std::shared_ptr<Form>& form, std::optional<T> Form::*part) {
  if (form == nullptr || !((*form).*part).has_value()) return nullptr;
  return {form, &*((*form).*part)};
}
inline std::shared_ptr<Instance> shareInstance(const std::shared_ptr<Form>& form) {
  return form == nullptr ? nullptr : std::shared_ptr<Instance>(form, form->instance.get());
}

}  // namespace berth::plugins
