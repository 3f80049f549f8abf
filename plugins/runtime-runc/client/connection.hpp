// One connection to a monitor: requests out, replies and events in.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "monitor_client.hpp"
#include "reader.hpp"

namespace berth::runc {

class MonitorClient::Connection final : public Readable {
 public:
  static absl::StatusOr<std::shared_ptr<Connection>> open(const std::string& runDir,
                                                          EventHandler handler);
  ~Connection() override = default;

  // Sends the request and waits for its reply: one frame, or several when it is a list.
  template <typename Request>
  absl::StatusOr<std::vector<std::string>> call(protocol::Type type, const Request& request,
                                                const Streams& streams, const CallLimits& limits) {
    const uint32_t id = nextId();
    return exchange(id, protocol::encodeFrame({type, 0, id}, request), streams, limits);
  }
  // Until the monitor has hung up.
  absl::Status waitLost(const CallLimits& limits);
  // No handler runs any more when it returns.
  void close();

  // The versions are agreed; from here on the handler hears of everything.
  absl::Status setHello(protocol::HelloReply hello);

  const std::string& runDir() const { return runDir_; }
  const protocol::HelloReply& hello() const { return hello_; }

 private:
  // A caller that waits.
  struct Waiter {
    support::Fd wake;  // eventfd
    std::vector<std::string> frames;
    bool done = false;  // all frames are there; else the wake means that the connection is lost
  };

  Connection(std::string runDir, EventHandler handler)
      : runDir_(std::move(runDir)), handler_(std::move(handler)) {}

  uint32_t nextId();
  absl::StatusOr<std::vector<std::string>> exchange(uint32_t id, const std::string& frame,
                                                    const Streams& streams,
                                                    const CallLimits& limits);
  absl::Status send(const std::string& frame, const Streams& streams, const CallLimits& limits);
  absl::Status lostStatus() const;
  bool onReadable() override;
  void onFrame(std::string frame);
  void onReply(uint32_t id, uint16_t flags, std::string frame);
  void onEvent(const protocol::Header& header, std::string_view fields);
  void onLost();

  const std::string runDir_;
  const EventHandler handler_;
  support::Fd socket_;
  Reader* reader_ = nullptr;
  uint64_t readerId_ = 0;
  std::atomic<uint32_t> lastId_ = 0;
  std::mutex mutex_;  // waiters_, lostWaiters_, lost_
  std::map<uint32_t, Waiter*> waiters_;
  std::vector<Waiter*> lostWaiters_;
  bool lost_ = false;
  std::mutex dispatch_;  // held while frames are read and handlers run
  bool closed_ = false;  // these three under dispatch_; hello_ does not change once it is set
  bool greeted_ = false;
  protocol::HelloReply hello_;
};

// A non-blocking connection to the socket of a run folder; NOT_FOUND when nobody serves it.
absl::StatusOr<support::Fd> connectToMonitor(const std::string& runDir);

}  // namespace berth::runc
