#include "plugins/form.hpp"

#include "berth/extensions.h"
#include "berth/image_signatures.h"
#include "berth/support/status.hpp"
#include "plugins/operation.hpp"

namespace berth::plugins {

using support::annotate;
using support::strCat;

namespace {

constexpr const char* kExtensions[] = {
    BERTH_EXTENSION_PAUSE,         BERTH_EXTENSION_CHECKPOINT, BERTH_EXTENSION_POD_RESOURCES,
    BERTH_EXTENSION_PORT_FORWARD,  BERTH_EXTENSION_DIFF,       BERTH_EXTENSION_VERIFY,
    BERTH_EXTENSION_REMOTE_LAYERS, BERTH_EXTENSION_QUOTA,      BERTH_EXTENSION_IMAGE_SIGNATURES};

// Of its kind: "berth.runtime.pause" is one of "berth.runtime/1".
std::vector<std::string> offered(const Instance& instance) {
  const std::string_view interface = interfaceId(instance.kind());
  const std::string kind = strCat(interface.substr(0, interface.find('/')), ".");
  std::vector<std::string> result;
  for (const std::string_view id : kExtensions) {
    size_t table[32] = {};
    if (id.starts_with(kind) && instance.extension(id, 1, table, sizeof table))
      result.emplace_back(id);
  }
  return result;
}

// As an operation, so that one that does not return can be seen.
void endInBackground(Form* last, Background& background) {
  const std::string title = last->instance->title();
  const auto shown = std::make_shared<Operation>(strCat("stop ", title));
  background.runSometime(strCat(title, " to stop"), [last, shown] {
    shown->setStage("wait for the plugin");
    delete last;
  });
}

}  // namespace

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
            try {
              endInBackground(last, *background);
            } catch (...) {
              // Without memory to end it by, it stays until the process ends.
            }
          }};
}

absl::Status Form::learn() {
  extensions = offered(*instance);
  if (source.has_value()) source->findExtensions();
  if (snapshotter.has_value())
    return annotate(snapshotter->readFlags(), strCat("snapshotter ", instance->name()));
  if (runtime.has_value())
    return annotate(runtime->readFeatures(), strCat("runtime ", instance->name()));
  return absl::OkStatus();
}

}  // namespace berth::plugins
