#include "engine/selinux_levels.hpp"

#include <random>
#include <utility>

#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

// What policies for containers have. Pairs of them are more than half a million.
constexpr unsigned kCategories = 1024;

}  // namespace

std::string SeLinuxLevels::take() {
  std::random_device random;
  std::uniform_int_distribution<unsigned> category(0, kCategories - 1);
  for (;;) {
    unsigned low = category(random);
    unsigned high = category(random);
    if (low == high) continue;
    if (low > high) std::swap(low, high);
    std::string level = support::strCat("s0:c", low, ",c", high);
    const std::lock_guard lock(mutex_);
    if (taken_.insert(level).second) return level;
  }
}

void SeLinuxLevels::claim(const std::string& level) {
  if (level.empty()) return;
  const std::lock_guard lock(mutex_);
  taken_.insert(level);
}

void SeLinuxLevels::release(const std::string& level) {
  const std::lock_guard lock(mutex_);
  taken_.erase(level);
}

}  // namespace berth::engine
