#include "oom_watch.hpp"

#include <csignal>
#include <fcntl.h>
#include <iterator>
#include <string_view>
#include <sys/eventfd.h>
#include <unistd.h>

#include "files.hpp"

namespace berth::runc::monitor {

namespace {

constexpr size_t kMaxCounterFile = 4096;
// v1 tells of an OOM before it kills, and not again afterwards: the counter is looked at twice
// more. The container's exit looks as well, so these matter only for kills of other processes.
constexpr int64_t kRecheckNs[] = {20'000'000, 500'000'000};

uint64_t oomKillsIn(std::string_view content) {
  for (std::string_view key = takeWord(content); !key.empty(); key = takeWord(content)) {
    const std::string_view value = takeWord(content);
    uint64_t count = 0;
    if (key == "oom_kill" && parseNumber(value, count)) return count;
  }
  return 0;
}

}  // namespace

void OomWatch::start(const Cgroup& cgroup) {
  if (cgroup.kind == protocol::CgroupKind::kNone || cgroup.directory.empty()) return;
  kind_ = cgroup.kind;
  const bool v1 = kind_ == protocol::CgroupKind::kV1;
  const std::string path =
      concat({cgroup.directory, v1 ? "/memory.oom_control" : "/memory.events"});
  counter_.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!counter_) return;
  if (v1) {
    event_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::string line = concat({Number(event_.get()), " ", Number(counter_.get())});
    const std::string control = concat({cgroup.directory, "/cgroup.event_control"});
    if (writeControl(control.c_str(), line) != 0 || !loop_.add(event_.get(), EPOLLIN, *this)) {
      event_.reset();
    }
  } else {
    loop_.add(counter_.get(), EPOLLPRI, *this);
    parent_.reset(
        open(concat({cgroup.directory, "/../memory.events"}).c_str(), O_RDONLY | O_CLOEXEC));
    // It is heard of as well: a rise there that is none here is another child's.
    if (parent_) loop_.add(parent_.get(), EPOLLPRI, *this);
  }
  check();
}

void OomWatch::stop() {
  loop_.disarm(*this);
  if (parent_ && counter_) loop_.remove(parent_.get(), *this);
  if (event_) {
    loop_.remove(event_.get(), *this);
  } else if (counter_) {
    loop_.remove(counter_.get(), *this);
  }
  event_.reset();
  counter_.reset();
}

void OomWatch::checkAtExit(int signal) {
  check();
  if (counter_ || !parent_ || signal != SIGKILL || known_ > 0) return;
  if (oomKillsIn(readOpen(parent_.get(), kMaxCounterFile)) > parentBefore_) {
    known_ = 1;
    listener_.onOomKills(known_);
  }
}

void OomWatch::check() {
  if (!counter_) return;
  // Before this cgroup's own: a kill in here between the two is in its own count then.
  const std::string parents = parent_ ? readOpen(parent_.get(), kMaxCounterFile) : std::string();
  const std::string content = readOpen(counter_.get(), kMaxCounterFile);
  const uint64_t count = oomKillsIn(content);
  if (count > known_) {
    known_ = count;
    listener_.onOomKills(count);
  }
  // A cgroup that was removed would be reported as ready for ever.
  if (content.empty()) return stop();
  parentBefore_ = oomKillsIn(parents);
  if (parent_ && parents.empty()) {
    loop_.remove(parent_.get(), *this);
    parent_.reset();
  }
}

void OomWatch::onReady(uint32_t) {
  if (event_) {
    uint64_t ignored = 0;
    // The counter's value says nothing: what happened stands in the cgroup.
    if (read(event_.get(), &ignored, sizeof ignored) < 0) return;
    rechecks_ = 0;
    loop_.arm(*this, kRecheckNs[0]);
  }
  check();
}

void OomWatch::onTimer() {
  check();
  if (counter_ && ++rechecks_ < static_cast<int>(std::size(kRecheckNs))) {
    loop_.arm(*this, kRecheckNs[rechecks_]);
  }
}

}  // namespace berth::runc::monitor
