// ThreadSanitizer of GCC 12 does not see pthread_mutex_clocklock(3), by which std::timed_mutex
// waits: it would take what such a lock orders for races. It sees the older function.
#include <cerrno>
#include <ctime>
#include <pthread.h>

namespace {

constexpr long kSecond = 1'000'000'000;

timespec between(const timespec& from, const timespec& to) {
  timespec time{.tv_sec = to.tv_sec - from.tv_sec, .tv_nsec = to.tv_nsec - from.tv_nsec};
  if (time.tv_nsec < 0) {
    --time.tv_sec;
    time.tv_nsec += kSecond;
  }
  return time;
}

}  // namespace

// Plugins have it of the program.
extern "C" __attribute__((visibility("default"))) int pthread_mutex_clocklock(
    pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  timespec now{};
  timespec real{};
  if (::clock_gettime(clock, &now) != 0 || ::clock_gettime(CLOCK_REALTIME, &real) != 0)
    return EINVAL;
  const timespec left = between(now, *until);
  timespec end{.tv_sec = real.tv_sec + left.tv_sec, .tv_nsec = real.tv_nsec + left.tv_nsec};
  if (end.tv_nsec >= kSecond) {
    ++end.tv_sec;
    end.tv_nsec -= kSecond;
  }
  return ::pthread_mutex_timedlock(mutex, &end);
}
