// A started instance of the plugin, called as berthd calls it, for the checks of a kind.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "plugin_check/probe.hpp"
#include "plugins/image_source.hpp"
#include "plugins/instance.hpp"
#include "plugins/network.hpp"
#include "plugins/runtime.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::check {

// Directories are those of the check's folder, so that a session in a later process finds what an
// earlier one has left. What a call answers wrong (codes, messages) is told to the probe.
class Session {
 public:
  // Null, and the check is skipped, when the plugin does not start, of which another check tells.
  static std::unique_ptr<Session> begin(Probe& probe);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const plugins::Library& library() const { return *library_; }
  plugins::Instance& instance() { return *instance_; }
  // Of the plugin's kind; others may not be asked for.
  plugins::Snapshotter& snapshotter() { return *snapshotter_; }
  plugins::ImageSource& source() { return *source_; }
  plugins::Network& network() { return *network_; }
  plugins::Runtime& runtime() { return *runtime_; }

  // Waits for an event about a pod or container; false when it does not come in the time.
  bool awaitEvent(berth_event_kind kind, const std::string& object, plugins::Event* event);
  // stop and destroy, at the latest by the destructor.
  void end();

 private:
  explicit Session(Probe& probe);
  absl::Status start();

  Probe& probe_;
  plugins::HostServices services_;
  std::shared_ptr<const plugins::Library> library_;
  std::unique_ptr<plugins::Instance> instance_;
  std::unique_ptr<plugins::Snapshotter> snapshotter_;
  std::unique_ptr<plugins::ImageSource> source_;
  std::unique_ptr<plugins::Network> network_;
  std::unique_ptr<plugins::Runtime> runtime_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::vector<plugins::Event> events_;
};

// An operation of a check's own time.
plugins::Operation::Clock::time_point soon(std::chrono::seconds time = std::chrono::seconds(30));

// How long a call took that was cancelled, or is to be.
inline constexpr auto kCancelPatience = std::chrono::seconds(2);

// Makes the call with an operation that is cancelled before it begins: fails unless it returns in
// time, with OK where it had nothing to wait for, or CANCELLED.
void judgeCancelledBefore(Probe& probe, std::string_view what,
                          const std::function<absl::Status(const plugins::Operation&)>& call);
// Makes the call, cancels it once it has been under way for a moment or `begun` says so, and fails
// unless it returns CANCELLED in time.
void judgeCancelledDuring(Probe& probe, std::string_view what,
                          const std::function<absl::Status(const plugins::Operation&)>& call,
                          const std::function<void()>& begun = {});
// The same with a deadline that passes.
void judgeDeadline(Probe& probe, std::string_view what,
                   const std::function<absl::Status(const plugins::Operation&)>& call);

}  // namespace berth::check
