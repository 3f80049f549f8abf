#include "berth/streams/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace berth::streams {

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kNsPerMs = 1'000'000;

int64_t clockNs(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * kNsPerSecond + time.tv_nsec;
}

}  // namespace

int64_t monotonicNs() {
  return clockNs(CLOCK_MONOTONIC);
}
int64_t realtimeNs() {
  return clockNs(CLOCK_REALTIME);
}

Status Loop::open() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return errnoFailure(errno, {"make the epoll instance"});
  return {};
}

bool Loop::add(int fd, uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::modify(int fd, uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd, Watcher& watcher) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (int i = 0; i < batchSize_; ++i) {
    if (batch_[i].data.ptr == &watcher) batch_[i].data.ptr = nullptr;
  }
}

void Loop::arm(Timer& timer, int64_t afterNs) {
  if (timer.due == 0) timers_.push_back(&timer);
  timer.due = monotonicNs() + afterNs;
}

void Loop::disarm(Timer& timer) {
  if (timer.due == 0) return;
  timer.due = 0;
  timers_.erase(std::remove(timers_.begin(), timers_.end(), &timer), timers_.end());
}

void Loop::bury(std::unique_ptr<Mortal> mortal) {
  graves_.push_back(std::move(mortal));
}

int Loop::timeoutMs() const {
  if (timers_.empty()) return -1;
  int64_t first = timers_.front()->due;
  for (const Timer* timer : timers_) first = std::min(first, timer->due);
  const int64_t wait = (first - monotonicNs() + kNsPerMs - 1) / kNsPerMs;
  return static_cast<int>(std::clamp<int64_t>(wait, 0, 1 << 30));
}

void Loop::fireTimers() {
  if (timers_.empty()) return;
  const int64_t now = monotonicNs();
  for (;;) {
    Timer* due = nullptr;
    for (Timer* timer : timers_) {
      if (timer->due <= now && (due == nullptr || timer->due < due->due)) due = timer;
    }
    if (due == nullptr) return;
    disarm(*due);
    due->onTimer();
  }
}

void Loop::run() {
  while (!stopped_) {
    graves_.clear();
    const int count = epoll_wait(epoll_.get(), batch_, kBatch, timeoutMs());
    batchSize_ = count > 0 ? count : 0;
    for (int i = 0; i < batchSize_ && !stopped_; ++i) {
      if (batch_[i].data.ptr != nullptr) {
        static_cast<Watcher*>(batch_[i].data.ptr)->onReady(batch_[i].events);
      }
    }
    batchSize_ = 0;
    fireTimers();
  }
  stopped_ = false;
  graves_.clear();
}

}  // namespace berth::streams
