// An instance of a plugin, led through its life step by step, right or wrong.
#pragma once

#include <string_view>

#include <absl/status/status.h>

#include "berth/plugin.h"
#include "plugin_check/probe.hpp"
#include "plugin_check/watched_host.hpp"
#include "plugins/library.hpp"

namespace berth::check {

// Every step is named to the probe before it is made. A thrown exception is INTERNAL; a code out of
// range, a failure without a message, or one that is not UTF-8 is told to the probe.
class RawInstance {
 public:
  RawInstance(Probe& probe, const plugins::Library& library, WatchedHost& host)
      : probe_(probe), library_(library), plugin_(library.description()), host_(host) {}
  RawInstance(const RawInstance&) = delete;
  RawInstance& operator=(const RawInstance&) = delete;

  absl::Status create();
  absl::Status configure(std::string_view options);
  absl::Status start();
  void stop();
  void destroy();
  // create and configure
  absl::Status prepare(std::string_view options);
  void* handle() const { return handle_; }

 private:
  absl::Status call(std::string_view step, const std::function<berth_code(berth_error*)>& body);

  Probe& probe_;
  const plugins::Library& library_;
  const berth_plugin& plugin_;
  WatchedHost& host_;
  void* handle_ = nullptr;
};

// What a failing call has left, as a status; tells the probe what is wrong with it.
absl::Status judgedStatus(Probe& probe, std::string_view call, berth_code code,
                          std::string_view message);

}  // namespace berth::check
