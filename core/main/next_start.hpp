// Whether the daemon would start with another configuration, found out while it runs.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include <absl/status/status.h>

#include "common/host_facts.hpp"
#include "config/config.hpp"
#include "plugins/background.hpp"
#include "plugins/operation.hpp"
#include "plugins/registry.hpp"

namespace berth::program {

// Thread-safe, but for judge(): one at a time.
class NextStart {
 public:
  NextStart() = default;
  NextStart(const NextStart&) = delete;
  NextStart& operator=(const NextStart&) = delete;
  ~NextStart() { finish(); }

  // Loads and configures all plugins of the configuration, and starts none. Whatever keeps it from
  // a start is the error. Blocks, for the operation's time: a plugin that has not returned by then
  // is named, and until it returns no other configuration is judged, since a thread that is in a
  // plugin cannot be ended.
  absl::Status judge(const plugins::Operation& op, const config::Config& wanted,
                     const common::HostFacts& host);
  // Has judge() give up, and waits for the plugin that it has left behind, of which `before` is
  // told. Idempotent.
  void finish(const plugins::Registry::Before& before = {});

 private:
  struct Trial;

  void hold(Trial& trial);
  absl::Status awaitTrial(const plugins::Operation& op);
  bool underWay() const;  // with the mutex held

  const std::shared_ptr<plugins::Background> background_ = std::make_shared<plugins::Background>();
  std::mutex mutex_;  // all that follow
  std::condition_variable changed_;
  std::shared_ptr<Trial> trial_;  // the last one
  bool ending_ = false;
};

}  // namespace berth::program
