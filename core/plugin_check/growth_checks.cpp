// Whether instances that come and go leave anything in the process.
#include <algorithm>
#include <malloc.h>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "plugin_check/blocked.hpp"
#include "plugin_check/check.hpp"
#include "plugin_check/life.hpp"
#include "plugin_check/probe.hpp"
#include "plugin_check/raw_instance.hpp"
#include "plugin_check/side_effects.hpp"

namespace berth::check {

using support::strCat;

namespace {

// The first rounds fill what is kept for good: caches, thread-local data, the allocator's bins.
constexpr int kWarmUp = 10;
constexpr int kRounds = 100;
constexpr int kSpans = 3;
// Less than the smallest piece of memory for each round is noise of the allocator.
constexpr size_t kNoise = 16;  // bytes for each round

size_t allocated() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

enum class Reach { kConfigured, kStarted };

// False when a step fails, which another check tells of.
bool runOnce(Probe& probe, const Subject& subject, WatchedHost& host, Reach reach) {
  host.enter(Phase::kBeforeStart);
  RawInstance instance(probe, *subject.library, host);
  if (!instance.prepare(subject.options).ok()) return false;
  if (reach == Reach::kStarted) {
    if (!instance.start().ok()) {
      instance.destroy();
      return false;
    }
    instance.stop();
  }
  instance.destroy();
  return true;
}

void checkGrowth(Probe& probe, Reach reach) {
  const auto subject = prepareSubject(probe);
  if (!subject.has_value()) return;
  WatchedHost& host = WatchedHost::make(probe.path(""), "again");
  for (int i = 0; i < kWarmUp; ++i) {
    if (runOnce(probe, *subject, host, reach)) continue;
    if (::geteuid() != 0) return probe.skip("an instance does not get through its life");
    return blocked(probe, {"life-cycle.", "options."}, "an instance does not get through its life");
  }
  const Surroundings before = lookAround();
  size_t growth[kSpans] = {};
  for (size_t& span : growth) {
    const size_t start = allocated();
    for (int i = 0; i < kRounds / kSpans; ++i) runOnce(probe, *subject, host, reach);
    const size_t end = allocated();
    span = end > start ? end - start : 0;
  }
  for (const std::string& difference : before.differences(lookAround())) probe.fail(difference);
  // A leak grows in each span; what is kept for good was there after the first.
  const size_t least = *std::min_element(std::begin(growth), std::end(growth));
  const size_t each = least / (kRounds / kSpans);
  probe.expect(each < kNoise,
               strCat("each instance leaves at least ", each, " bytes of memory behind"));
}

void checkConfigured(Probe& probe) {
  checkGrowth(probe, Reach::kConfigured);
}
void checkStarted(Probe& probe) {
  checkGrowth(probe, Reach::kStarted);
}

}  // namespace

std::vector<Check> growthChecks() {
  return {
      {.name = "growth.configured",
       .meaning = "A hundred instances, made and destroyed, leave no descriptor, thread or memory.",
       .rule = "plugin.h, destroy: frees the instance",
       .run = &checkConfigured,
       .within = true},
      {.name = "growth.started",
       .meaning =
           "A hundred instances, started and stopped, leave no descriptor, thread or memory.",
       .rule = "plugin.h, stop: the plugin ends its threads; destroy: frees the instance",
       .run = &checkStarted,
       .patience = 2,
       .within = true},
  };
}

}  // namespace berth::check
