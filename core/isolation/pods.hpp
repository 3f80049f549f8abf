// The pods of a runtime whose process may end: what a new process is told of them, and what it
// says of the time between.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/plugin.hpp"
#include "berth/runtime.h"

namespace berth::isolation {

// What pod_recover needs of a pod. Thread-safe.
class Pods {
 public:
  struct Pod {
    std::string directory;
    std::string state;
  };

  void keep(std::string_view id, Pod pod) {
    const std::lock_guard lock(mutex_);
    pods_[std::string(id)] = std::move(pod);
  }
  // Nothing for a pod that is not known: other kinds save state too.
  void setState(std::string_view id, std::string_view state) {
    const std::lock_guard lock(mutex_);
    if (const auto found = pods_.find(id); found != pods_.end()) found->second.state = state;
  }
  void forget(std::string_view id) {
    const std::lock_guard lock(mutex_);
    if (const auto found = pods_.find(id); found != pods_.end()) pods_.erase(found);
  }
  std::optional<Pod> find(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto found = pods_.find(id);
    return found == pods_.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<std::string> ids() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [id, pod] : pods_) all.push_back(id);
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Pod, std::less<>> pods_;
};

// Hands everything on to another builder, and keeps the state.
class StateKeeper {
 public:
  explicit StateKeeper(berth_pod_builder* out) : out_(out) {}
  StateKeeper(const StateKeeper&) = delete;
  StateKeeper& operator=(const StateKeeper&) = delete;
  berth_pod_builder* get() { return &builder_; }
  std::string& state() { return state_; }

 private:
  static StateKeeper& self(berth_pod_builder* builder) {
    return *static_cast<StateKeeper*>(builder->host);
  }
  static void setNamespace(berth_pod_builder* builder, uint32_t bit, berth_str path) {
    self(builder).out_->set_namespace(self(builder).out_, bit, path);
  }
  static void setState(berth_pod_builder* builder, berth_bytes state) {
    self(builder).state_ = view(state);
    self(builder).out_->set_state(self(builder).out_, state);
  }

  berth_pod_builder* const out_;
  std::string state_;
  berth_pod_builder builder_{sizeof(berth_pod_builder), this, &setNamespace, &setState};
};

// Emits an exit for each status of a container that has exited: the host drops those it knows.
class ExitEmitter {
 public:
  ExitEmitter(const berth_host* host, std::string_view pod) : host_(host), pod_(pod) {}
  ExitEmitter(const ExitEmitter&) = delete;
  ExitEmitter& operator=(const ExitEmitter&) = delete;
  berth_container_status_sink* get() { return &sink_; }

  // That the pod's isolation is gone.
  void lost(std::string_view reason) { emit(BERTH_EVENT_POD_LOST, {}, reason); }

 private:
  static void add(berth_container_status_sink* sink, const berth_container_status* given) {
    const berth_container_status status = detail::known(given);
    if (status.state == BERTH_CONTAINER_EXITED)
      static_cast<ExitEmitter*>(sink->host)
          ->emit(BERTH_EVENT_CONTAINER_EXITED, status, view(status.message));
  }
  void emit(berth_event_kind kind, const berth_container_status& status, std::string_view message) {
    const berth_event event = {.size = sizeof event,
                               .kind = kind,
                               .flags = status.flags,
                               .pod = str(pod_),
                               .container = status.id,
                               .timestamp = status.finished_at,
                               .exit_code = status.exit_code,
                               .reserved = 0,
                               .message = str(message)};
    host_->emit_event(host_->context, &event);
  }

  const berth_host* const host_;
  const std::string pod_;
  berth_container_status_sink sink_{sizeof(berth_container_status_sink), this, &add};
};

}  // namespace berth::isolation
