#include "plugins/form.hpp"

#include "berth/support/status.hpp"

namespace berth::plugins {

using support::annotate;
using support::strCat;

Form::Form(std::unique_ptr<Instance> given) : instance(std::move(given)) {
  switch (instance->kind()) {
    case Kind::kRuntime:
      runtime.emplace(*instance);
      break;
    case Kind::kSnapshotter:
      snapshotter.emplace(*instance);
      break;
    case Kind::kImageSource:
      source.emplace(*instance);
      break;
    case Kind::kNetwork:
      network.emplace(*instance);
      break;
  }
}

std::shared_ptr<Form> Form::make(std::unique_ptr<Instance> instance,
                                 std::shared_ptr<Background> background) {
  return {new Form(std::move(instance)), [background = std::move(background)](Form* last) {
            // One that does not run has no threads to wait for.
            if (last->instance->state() != InstanceState::kStarted) {
              delete last;
              return;
            }
            background->runSometime(strCat(last->instance->title(), " to stop"),
                                    [last] { delete last; });
          }};
}

absl::Status Form::learn() {
  if (source.has_value()) source->findExtensions();
  if (snapshotter.has_value())
    return annotate(snapshotter->readFlags(), strCat("snapshotter ", instance->name()));
  if (runtime.has_value())
    return annotate(runtime->readFeatures(), strCat("runtime ", instance->name()));
  return absl::OkStatus();
}

}  // namespace berth::plugins
