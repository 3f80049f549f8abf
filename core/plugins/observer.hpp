// Who hears of what operations and plugin calls took.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/trace_context.hpp"

namespace berth::plugins {

class Instance;

struct Stage {
  std::string name;
  int64_t begin = 0;     // nanoseconds since the operation's begin
  int64_t duration = 0;  // nanoseconds
};

// An operation that has ended.
struct Timeline {
  std::string operation;              // "RunPodSandbox default/web"
  std::vector<std::string> subjects;  // ids of what it was about: a pod first, then containers
  int64_t begin = 0;                  // CLOCK_REALTIME, nanoseconds
  int64_t duration = 0;               // nanoseconds
  std::string error;                  // empty: it went well, or does not tell
  std::vector<Stage> stages;          // in their order, without gaps
  std::optional<common::TraceContext> caller;  // who asked for it first, when that one has said it
};

// Called on the threads of those that it hears of, at the same time; must not block.
class Observer {
 public:
  virtual void onOperation(Timeline timeline) = 0;
  virtual void onCall(const Instance& instance, bool failed, std::chrono::nanoseconds took) = 0;

 protected:
  ~Observer() = default;
};

// For all of the process, from now on; it must live until the end. Null: nobody hears, and nothing
// is measured. Thread-safe.
void setObserver(Observer* observer);
Observer* observer();

}  // namespace berth::plugins
