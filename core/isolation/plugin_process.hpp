// The process of an isolated plugin, seen from its host.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "berth/support/process.hpp"
#include "isolation/channel.hpp"
#include "isolation/description.hpp"

namespace berth::isolation {

// What to start.
struct Launch {
  std::string program;  // berth-plugin-host
  // What the path led to at first; null: nothing. Another file may have taken its place since.
  std::shared_ptr<const support::Fd> file;
  LoadRequest request;
};

// Answers a callback of a call under way; false: nothing is to be answered. A failure means that
// it is none that the call allows.
using Callback = std::function<absl::StatusOr<bool>(uint16_t number, Decoder& in, Encoder& answer)>;

struct Request {
  Kind kind = Kind::kCall;
  uint16_t number = 0;
  const Encoder& content;
  const berth_op* op = nullptr;  // none: the call has a time of its own
  const Callback* callback = nullptr;
};

// One process from its start to its end. Whatever it sends, nothing here relies on it; what cannot
// be understood ends it. Thread-safe.
class PluginProcess {
 public:
  // Starts it and has it load the plugin: its description is there then, unchecked. The failures of
  // loading are those of the plugin's process.
  static absl::StatusOr<std::shared_ptr<PluginProcess>> start(const Launch& launch);
  ~PluginProcess();  // ends it
  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;

  pid_t pid() const { return pid_; }
  const Description& description() const { return description_; }
  // Whom its log, events and further calls are for, from now on. Must outlive the process.
  void serveHost(const berth_host* host) { host_ = host; }

  // Makes one call and returns its reply. UNAVAILABLE when the process ends meanwhile, or does not
  // return long after the call's end; then it is ended.
  absl::StatusOr<Frame> exchange(const Request& request);
  // UNAVAILABLE, with what became of it; it is ended for `reason` if it lives.
  absl::Status blame(const std::string& reason);

  // After the call of stop: until all has been heard that the plugin has said before it returned.
  void awaitStopped();

  bool ended() const;
  // "was ended by signal 9"; only once it has ended.
  std::string end() const;
  // Blocks until it has ended, or release(); false when neither is so at `until`.
  bool awaitEnd(std::chrono::steady_clock::time_point until);
  void release();

 private:
  // A channel of calls, with what wakes a call that is to end.
  struct Line;
  class CallPatience;

  PluginProcess(support::Process process, support::Fd pidfd, support::Fd control)
      : pid_(process.pid()),
        process_(std::move(process)),
        pidfd_(std::move(pidfd)),
        control_(std::move(control)) {}
  absl::Status load(const Launch& launch);
  absl::StatusOr<std::shared_ptr<Line>> takeLine();
  void giveBack(const std::shared_ptr<Line>& line);
  void drop(const std::shared_ptr<Line>& line);
  absl::StatusOr<Frame> converse(Line& line, const Request& request, CallPatience& patience);
  // The control thread.
  void watch();
  // One frame of the control channel.
  absl::Status hearControl();
  // Hands on a log line or an event; fails the decoder when it is neither.
  void hear(Kind kind, Decoder& in) const;
  void serveHostChannel(size_t index);
  absl::Status answerHost(Frame& frame, Encoder& out) const;
  void kill() const;
  void reap();

  const pid_t pid_;
  support::Process process_;  // touched by whoever reaps it alone
  const support::Fd pidfd_;
  Channel control_;
  std::mutex sendMutex_;  // of the control channel
  Description description_;
  std::atomic<const berth_host*> host_{nullptr};
  std::vector<std::unique_ptr<Channel>> hostChannels_;
  std::vector<std::thread> hostThreads_;
  std::thread watcher_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::shared_ptr<Line>> lines_;
  std::vector<std::shared_ptr<Line>> idle_;
  std::string reason_;  // why it was killed
  std::string end_;     // not empty: it has ended
  bool released_ = false;
  bool stopped_ = false;
};

}  // namespace berth::isolation
