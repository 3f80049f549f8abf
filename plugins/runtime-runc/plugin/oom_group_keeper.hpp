// Keeps memory.oom.group of containers whose cgroups are units of systemd.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "berth/support/fd.hpp"

namespace berth::runc {

// systemd writes all files of a controller when it sets one limit of a unit and when it has read
// its units anew; before version 253 it has no property for this one in scopes, and writes 0. The
// kubelet wants 1 of most containers. A thread watches the files (inotify(7)) and writes what the
// container's bundle says.
class OomGroupKeeper {
 public:
  explicit OomGroupKeeper(const Host& host) : host_(host) {}
  ~OomGroupKeeper() { stop(); }
  OomGroupKeeper(const OomGroupKeeper&) = delete;
  OomGroupKeeper& operator=(const OomGroupKeeper&) = delete;

  // From now on until the cgroup is gone: `cgroup` is its folder, and what is wanted is read from
  // `bundle` whenever it counts. Does not wait for the first time. Idempotent. Any thread. Where
  // nothing can be watched the log says so, once.
  void keep(const std::string& bundle, const std::string& cgroup);
  void stop();

 private:
  struct Kept {
    std::string bundle;
    std::string file;
  };

  absl::Status startLocked();
  void run();
  void takeNew();
  void readEvents();
  void settle(const Kept& kept) const;

  const Host& host_;
  support::Fd inotify_;
  support::Fd changed_;
  std::mutex mutex_;
  std::vector<Kept> new_;
  std::thread thread_;
  bool begun_ = false;
  bool end_ = false;
  std::map<int, Kept> kept_;  // by watch; the thread's own
};

}  // namespace berth::runc
