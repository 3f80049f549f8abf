#include "lane.hpp"

#include <algorithm>
#include <utility>

namespace berth::registry {
namespace {

constexpr size_t kIdleLimit = 24;
// Servers close idle connections after about a minute; a lane older than that would only find out.
constexpr std::chrono::seconds kIdleTime{45};
constexpr long kConnectionsPerLane = 2;

}  // namespace

absl::StatusOr<std::unique_ptr<Lane>> Lane::create() {
  std::unique_ptr<Lane> lane(new Lane);
  lane->multi_ = ::curl_multi_init();
  lane->easy_ = ::curl_easy_init();
  if (lane->multi_ == nullptr || lane->easy_ == nullptr)
    return absl::ResourceExhaustedError("prepare a connection: libcurl is out of memory");
  ::curl_multi_setopt(lane->multi_, CURLMOPT_MAXCONNECTS, kConnectionsPerLane);
  return lane;
}

Lane::~Lane() {
  if (easy_ != nullptr) ::curl_easy_cleanup(easy_);
  if (multi_ != nullptr) ::curl_multi_cleanup(multi_);
}

// The lanes that have been idle too long; the caller destroys them without the lock, for closing a
// TLS connection writes to the network.
std::vector<LanePool::Idle> LanePool::expired(std::chrono::steady_clock::time_point now) {
  const auto keep = std::find_if(idle_.begin(), idle_.end(),
                                 [&](const Idle& entry) { return now - entry.since < kIdleTime; });
  std::vector<Idle> result(std::make_move_iterator(idle_.begin()), std::make_move_iterator(keep));
  idle_.erase(idle_.begin(), keep);
  return result;
}

absl::StatusOr<std::unique_ptr<Lane>> LanePool::take(const std::string& origin) {
  std::vector<Idle> old;
  {
    const std::lock_guard lock(mutex_);
    old = expired(std::chrono::steady_clock::now());
    // The one used last is the likeliest to be still open.
    const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                    [&](const Idle& entry) { return entry.origin == origin; });
    if (found != idle_.rend()) {
      std::unique_ptr<Lane> lane = std::move(found->lane);
      idle_.erase(std::next(found).base());
      return lane;
    }
  }
  return Lane::create();
}

void LanePool::give(const std::string& origin, std::unique_ptr<Lane> lane) {
  // Options of the last transfer, credentials among them, end here; connections stay.
  ::curl_easy_reset(lane->easy());
  std::vector<Idle> old;
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  old = expired(now);
  idle_.push_back({origin, std::move(lane), now});
  if (idle_.size() > kIdleLimit) {
    old.push_back(std::move(idle_.front()));
    idle_.erase(idle_.begin());
  }
}

void LanePool::clear() {
  std::vector<Idle> all;
  const std::lock_guard lock(mutex_);
  all.swap(idle_);
}

}  // namespace berth::registry
