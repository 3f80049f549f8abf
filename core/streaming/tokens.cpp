#include "streaming/tokens.hpp"

#include <array>

#include "berth/support/ids.hpp"
#include "berth/support/status.hpp"

namespace berth::streaming {

std::string_view pathOf(const StreamRequest& request) {
  // In the order of the variant.
  static constexpr std::array<std::string_view, 3> kPaths = {"exec", "attach", "portforward"};
  static_assert(std::variant_size_v<StreamRequest> == kPaths.size());
  return kPaths[request.index()];
}

absl::StatusOr<std::string> Tokens::add(StreamRequest request) {
  std::lock_guard lock(mutex_);
  dropExpired();
  if (oldestFirst_.size() >= kMostTokens) {
    return absl::ResourceExhaustedError(support::strCat(
        kMostTokens,
        " streaming URLs wait for their clients already: try again when some of them "
        "have been used or have expired"));
  }
  oldestFirst_.push_back({support::randomId(), std::move(request), now_() + lifetime_});
  const auto added = std::prev(oldestFirst_.end());
  byToken_.emplace(added->token, added);
  return added->token;
}

std::optional<StreamRequest> Tokens::find(std::string_view path, std::string_view token) {
  std::lock_guard lock(mutex_);
  dropExpired();
  const auto found = byToken_.find(token);
  if (found == byToken_.end() || pathOf(found->second->request) != path) return std::nullopt;
  return found->second->request;
}

bool Tokens::take(std::string_view token) {
  std::lock_guard lock(mutex_);
  dropExpired();
  const auto found = byToken_.find(token);
  if (found == byToken_.end()) return false;
  const auto entry = found->second;
  byToken_.erase(found);
  oldestFirst_.erase(entry);
  return true;
}

void Tokens::dropExpired() {
  const Clock::time_point now = now_();
  while (!oldestFirst_.empty() && oldestFirst_.front().expires <= now) {
    byToken_.erase(oldestFirst_.front().token);
    oldestFirst_.pop_front();
  }
}

}  // namespace berth::streaming
