// A ttrpc client: one connection, any number of calls at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "frame.hpp"
#include "limits.hpp"
#include "message.hpp"

namespace berth::kata::ttrpc {

struct Method {
  std::string_view service;
  std::string_view name;
};

// Thread-safe. A connection that has broken stays so: all calls are UNAVAILABLE then.
class Client final : private FrameSink {
 public:
  // The payload of the response, or the server's status. Runs on the client's thread, or on that of
  // the call when it fails at once; must not block and must not destroy the client.
  using Reply = std::function<void(absl::StatusOr<std::string>)>;

  // Connects to "unix:///path", "unix://@abstract" or a path. NOT_FOUND when there is no socket,
  // UNAVAILABLE when nobody listens to it; both mean that the server is gone. `onBroken` runs once
  // on the client's thread when the connection breaks before close(); like a Reply.
  static absl::StatusOr<std::shared_ptr<Client>> connect(const std::string& address,
                                                         const CallLimits& limits,
                                                         std::function<void()> onBroken = nullptr);
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Blocks until the response is there. DEADLINE_EXCEEDED and CANCELLED at the limits, of which the
  // server is told the deadline; the server may go on with it all the same. UNAVAILABLE when the
  // connection has broken, RESOURCE_EXHAUSTED for messages that no frame can carry, INTERNAL for
  // what is no response; else the server's own code.
  absl::StatusOr<std::string> call(Method method, std::string_view payload,
                                   const CallLimits& limits);
  // Without waiting for the response, which may come as late as it likes. `limits` are those of
  // sending it.
  void begin(Method method, std::string_view payload, const CallLimits& limits, const Reply& reply);

  bool isBroken() const;
  // Hangs up; calls that wait are UNAVAILABLE. No reply runs any more when it returns. Not from a
  // reply. Idempotent.
  void close();

 private:
  struct Waiter;

  Client(support::Fd socket, support::Fd stop, std::function<void()> onBroken)
      : socket_(std::move(socket)), stop_(std::move(stop)), onBroken_(std::move(onBroken)) {}

  absl::StatusOr<uint32_t> send(Method method, std::string_view payload, int64_t timeoutNs,
                                const CallLimits& limits, Reply reply);
  absl::Status write(std::string_view frame, const CallLimits& limits);
  Reply take(uint32_t stream);
  void read();
  void breakOff();
  void onFrame(const FrameHeader& header, std::string_view data) override;
  void onOversized(const FrameHeader& header) override;

  const support::Fd socket_;
  const support::Fd stop_;
  const std::function<void()> onBroken_;
  std::mutex sending_;  // taken before mutex_
  mutable std::mutex mutex_;
  uint32_t nextStream_ = 1;
  bool broken_ = false;
  bool closing_ = false;
  std::map<uint32_t, Reply> pending_;
  std::thread thread_;
};

}  // namespace berth::kata::ttrpc
