#include "plugins/form.hpp"

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::plugins {

namespace {

// What all shares of a form have in common.
struct Owned {
  explicit Owned(std::unique_ptr<Instance> given) : instance(std::move(given)) {
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

  const std::shared_ptr<const void> life = std::make_shared<int>();
  std::unique_ptr<Instance> instance;
  std::optional<Runtime> runtime;
  std::optional<Snapshotter> snapshotter;
  std::optional<ImageSource> source;
  std::optional<Network> network;
};

template <class T>
std::shared_ptr<T> share(const std::shared_ptr<Owned>& owned, std::optional<T>& wrapper) {
  return wrapper.has_value() ? std::shared_ptr<T>(owned, &*wrapper) : nullptr;
}

}  // namespace

absl::Status Background::run(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    ++running_;
  }
  const auto end = [self = shared_from_this()] {
    const std::lock_guard lock(self->mutex_);
    --self->running_;
    self->changed_.notify_all();
  };
  auto thread = support::startThread([work = std::move(work), end]() mutable {
    work();
    work = nullptr;
    end();
  });
  if (!thread.ok()) {
    end();
    return thread.status();
  }
  thread->detach();
  return absl::OkStatus();
}

void Background::awaitAll() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return running_ == 0; });
}

Form Form::of(std::unique_ptr<Instance> instance, std::shared_ptr<Background> background) {
  auto made = std::make_unique<Owned>(std::move(instance));
  const std::shared_ptr<Owned> owned(made.release(),
                                     [background = std::move(background)](Owned* last) {
                                       // One that never ran, or was stopped already, has no threads
                                       // to wait for.
                                       if (last->instance->state() != InstanceState::kStarted ||
                                           !background->run([last] { delete last; }).ok())
                                         delete last;
                                     });
  return {std::shared_ptr<Instance>(owned, owned->instance.get()),
          share(owned, owned->runtime),
          share(owned, owned->snapshotter),
          share(owned, owned->source),
          share(owned, owned->network),
          owned->life};
}

absl::Status Form::learn() const {
  if (source != nullptr) source->findExtensions();
  if (snapshotter != nullptr)
    return support::annotate(snapshotter->readFlags(),
                             support::strCat("snapshotter ", instance->name()));
  if (runtime != nullptr)
    return support::annotate(runtime->readFeatures(),
                             support::strCat("runtime ", instance->name()));
  return absl::OkStatus();
}

}  // namespace berth::plugins
