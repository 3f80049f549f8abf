// The requests that wait for their client: a CRI call hands one in and gives the token to the
// client, which hands the token back once.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"

namespace berth::streaming {

using StreamRequest = std::variant<runtime::v1::ExecRequest, runtime::v1::AttachRequest,
                                   runtime::v1::PortForwardRequest>;

// The part of the URL's path that stands for the request: "exec", "attach", "portforward".
std::string_view pathOf(const StreamRequest& request);

// Thread-safe; never blocks on anything but its own short lock.
class Tokens {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr size_t kMostTokens = 1000;

  explicit Tokens(Clock::duration lifetime, std::function<Clock::time_point()> now = Clock::now)
      : lifetime_(lifetime), now_(std::move(now)) {}

  // A token that cannot be guessed. RESOURCE_EXHAUSTED when kMostTokens wait.
  absl::StatusOr<std::string> add(StreamRequest request);
  // The request, while it waits; it goes on waiting.
  std::optional<StreamRequest> find(std::string_view path, std::string_view token);
  // True once; the request waits no more.
  bool take(std::string_view token);

 private:
  struct Entry {
    std::string token;
    StreamRequest request;
    Clock::time_point expires;
  };

  void dropExpired();

  const Clock::duration lifetime_;
  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;
  std::list<Entry> oldestFirst_;
  std::unordered_map<std::string_view, std::list<Entry>::iterator> byToken_;
};

}  // namespace berth::streaming
