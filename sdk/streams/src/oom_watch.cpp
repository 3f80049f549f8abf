#include "berth/streams/oom_watch.hpp"

#include <csignal>
#include <fcntl.h>
#include <iterator>
#include <string_view>
#include <sys/eventfd.h>
#include <unistd.h>

#include "berth/streams/control_files.hpp"

namespace berth::streams {

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

Fd openToRead(std::initializer_list<std::string_view> path) {
  return Fd(open(concat(path).c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

void OomWatch::start(CgroupVersion version, const std::string& directory) {
  if (directory.empty() || counter_) return;
  const bool isV1 = version == CgroupVersion::kV1;
  counter_ = openToRead({directory, isV1 ? "/memory.oom_control" : "/memory.events"});
  if (!counter_) return;
  if (isV1) {
    openV1(directory);
  } else {
    openV2(directory);
  }
  check();
}

void OomWatch::openV1(const std::string& directory) {
  event_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const std::string line = concat({Number(event_.get()), " ", Number(counter_.get())});
  const std::string control = concat({directory, "/cgroup.event_control"});
  if (writeControl(control.c_str(), line) != 0 || !loop_.add(event_.get(), EPOLLIN, *this)) {
    event_.reset();
  }
}

void OomWatch::openV2(const std::string& directory) {
  loop_.add(counter_.get(), EPOLLPRI, *this);
  parent_ = openToRead({directory, "/../memory.events"});
  // It is heard of as well: a rise there that is none here is another child's.
  if (parent_) loop_.add(parent_.get(), EPOLLPRI, *this);
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

// With the counter gone it is not heard of any more, but can still be read.
void OomWatch::dropParent() {
  if (parent_ && counter_) loop_.remove(parent_.get(), *this);
  parent_.reset();
}

void OomWatch::noteExit() {
  check();
  if (parent_ && !parentAtExit_)
    parentAtExit_ = oomKillsIn(readOpen(parent_.get(), kMaxCounterFile));
}

void OomWatch::checkAtExit(int signal) {
  noteExit();
  const bool parentDecides = !counter_ && signal == SIGKILL && known_ == 0;
  if (parentDecides && parentAtExit_.value_or(0) > parentBefore_) {
    known_ = 1;
    listener_.onOomKills(known_);
  }
  dropParent();
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
  if (parents.empty()) dropParent();
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

}  // namespace berth::streams
