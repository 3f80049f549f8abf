// A host that keeps watch over when and how a plugin calls it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "berth/plugin.h"
#include "plugin_check/probe.hpp"

namespace berth::check {

// Where in its life the watched instance is.
enum class Phase { kBeforeStart, kRunning, kStopped, kDestroyed };

// The table of a host whose ABI may be of a later minor version: larger, with something in what
// this one does not know. Lives until the process ends, as a plugin may call it when it must not.
class WatchedHost {
 public:
  enum class Age { kToday, kFuture };

  // Directories below `folder`; nothing makes them before makeDirectories().
  static WatchedHost& make(const std::string& folder, const std::string& instance,
                           Age age = Age::kToday);

  const berth_host* table() const { return &table_.today; }
  absl::Status makeDirectories() const;
  const std::string& rootDirectory() const { return root_; }
  const std::string& stateDirectory() const { return state_; }

  void enter(Phase phase);
  // Fails for all that was wrong up to now.
  void judge(Probe& probe);

 private:
  WatchedHost(const std::string& folder, std::string instance, Age age);

  struct FutureTable {
    berth_host today;
    void* added[8];
  };
  static WatchedHost& self(void* context) { return *static_cast<WatchedHost*>(context); }
  void note(const char* function, bool always);
  void wrong(std::string what);

  const std::string instance_, root_, state_;
  FutureTable table_{};
  std::mutex mutex_;
  Phase phase_ = Phase::kBeforeStart;
  std::thread::id destroyer_;
  std::set<void*> memory_;
  std::vector<std::string> wrongs_;
};

}  // namespace berth::check
