// What the plugins made for these tests answer. They live in the test's process and find it by its
// address, which is their option "world".
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/runtime.h"

namespace berth::testing {

struct ContainerFact {
  std::string id;
  berth_container_state state = BERTH_CONTAINER_RUNNING;
  int32_t exitCode = 0;
  int64_t startedAt = 0;
  std::string message;
  int64_t pid = 0;
};

struct Answer {
  berth_code code = BERTH_OK;
  std::string message = {};
  std::vector<ContainerFact> containers =
      {};  // of pod_recover, also beside a failure; of a start or a wait the one that was named
  std::optional<int32_t> exit = {};      // the container that was named exits so
  std::optional<std::string> save = {};  // a state is saved for the object that was named
  std::shared_future<void> until = {};   // the answer waits for it, or for cancellation
};

// Thread-safe. A call is "runc pod_recover 6f3a…": instance, function, object; what else a call
// says stands behind.
class World {
 public:
  // From now on; OK is what is not set.
  void set(const std::string& call, Answer answer) {
    std::lock_guard lock(mutex_);
    answers_[call] = std::move(answer);
  }
  std::vector<std::string> calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  size_t count(const std::string& call) const {
    std::lock_guard lock(mutex_);
    return countLocked(call);
  }
  // Until the call has been made so often; false: it has not, for half a minute.
  bool await(const std::string& call, size_t times = 1) {
    std::unique_lock lock(mutex_);
    return called_.wait_for(lock, std::chrono::seconds(30),
                            [&] { return countLocked(call) >= times; });
  }
  void setSnapshots(std::vector<std::string> keys) {
    std::lock_guard lock(mutex_);
    snapshots_ = std::move(keys);
  }
  std::vector<std::string> snapshots() const {
    std::lock_guard lock(mutex_);
    return snapshots_;
  }

  // The plugins' side.
  Answer ask(const Host& host, std::string_view function, std::string_view object,
             const std::string& more = {}) {
    std::string call = std::string(host.instance()) + " " + std::string(function);
    if (!object.empty()) call += " " + std::string(object);
    Answer answer;
    {
      std::lock_guard lock(mutex_);
      if (const auto found = answers_.find(call); found != answers_.end()) answer = found->second;
      calls_.push_back(more.empty() ? call : call + " " + more);
    }
    called_.notify_all();
    if (answer.exit) {
      berth_event event{};
      event.kind = BERTH_EVENT_CONTAINER_EXITED;
      event.container = str(object);
      event.exit_code = *answer.exit;
      host.emit(event);
    }
    if (answer.save) {
      const Status saved = host.saveState(object, *answer.save);
      if (!saved.ok()) answer.code = saved.code(), answer.message = saved.message();
    }
    return answer;
  }
  Status answer(const Host& host, const Op& op, std::string_view function, std::string_view object,
                const std::string& more = {}) {
    return result(op, ask(host, function, object, more));
  }
  static Status result(const Op& op, const Answer& answer) {
    while (answer.until.valid() &&
           answer.until.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
      if (op.cancelled()) return Status(BERTH_DEADLINE_EXCEEDED, "it does not answer");
    }
    return answer.code == BERTH_OK ? Status() : Status(answer.code, answer.message);
  }

 private:
  size_t countLocked(const std::string& call) const {
    return static_cast<size_t>(std::count(calls_.begin(), calls_.end(), call));
  }

  mutable std::mutex mutex_;
  std::condition_variable called_;
  std::map<std::string, Answer> answers_;
  std::vector<std::string> calls_;
  std::vector<std::string> snapshots_;
};

// From {"world":"140737…"}.
inline World& worldOf(std::string_view options) {
  const size_t digits = options.find_first_of("0123456789");
  const std::string text(options.substr(std::min(digits, options.size())));
  // NOLINTNEXTLINE(performance-no-int-to-ptr): options are text.
  return *reinterpret_cast<World*>(std::strtoull(text.c_str(), nullptr, 10));
}

inline constexpr std::string_view kWorldOption = R"([{"key": "world", "type": "string"}])";

}  // namespace berth::testing
