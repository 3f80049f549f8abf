// Notices changes of the configuration and of the plugins' binaries.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::cni {

// Watches directories, those that do not exist yet too, with a thread of its own. `directories` are
// watched as they are; those of `withFolders` together with the folders in them.
class Watcher {
 public:
  struct Watched {
    std::vector<std::string> directories;
    std::vector<std::string> withFolders;
  };

  // `changed` is called on the watcher's thread, once for events that come close together; it must
  // not throw.
  Watcher(Watched watched, std::function<void()> changed)
      : watched_(std::move(watched)), changed_(std::move(changed)) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { stop(); }

  // RESOURCE_EXHAUSTED, also when there is no thread to be had, or another error of inotify(7):
  // nothing is watched then.
  absl::Status start();
  void stop();  // joins the thread; idempotent

 private:
  // An event counts when it is about this name; empty: any name.
  struct Interest {
    std::string name;
  };

  void run();
  void watchAll();
  void watch(const std::string& directory);
  bool add(const std::string& directory, const std::string& name);
  bool readEvents();
  bool waitForEvent(int milliseconds) const;

  const Watched watched_;
  const std::function<void()> changed_;
  support::Fd inotify_;
  support::Fd stopped_;
  std::map<int, std::vector<Interest>> interests_;  // by watch descriptor
  std::thread thread_;
};

}  // namespace berth::cni
