// One version of a plugin as an instance of the configuration.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include <absl/status/status.h>

#include "plugins/image_source.hpp"
#include "plugins/instance.hpp"
#include "plugins/network.hpp"
#include "plugins/runtime.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::plugins {

// Threads that nobody waits for but the end: what they run calls plugins, which may not return.
class Background : public std::enable_shared_from_this<Background> {
 public:
  // RESOURCE_EXHAUSTED when there is no thread to be had; nothing is done then.
  absl::Status run(std::function<void()> work);
  // Blocks until none runs.
  void awaitAll();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_ = 0;
};

// The instance with the wrapper of its kind; the other three are null. Whoever uses the plugin
// holds a share of the wrapper and so of all: when the last one is gone the instance is stopped and
// destroyed, in the background, since that may be within a call of the plugin itself.
struct Form {
  std::shared_ptr<Instance> instance;
  std::shared_ptr<Runtime> runtime;
  std::shared_ptr<Snapshotter> snapshotter;
  std::shared_ptr<ImageSource> source;
  std::shared_ptr<Network> network;
  std::weak_ptr<const void> life;  // expires when the instance has been destroyed

  static Form of(std::unique_ptr<Instance> instance, std::shared_ptr<Background> background);
  // After the start, once: what the instance offers.
  absl::Status learn() const;
};

}  // namespace berth::plugins
