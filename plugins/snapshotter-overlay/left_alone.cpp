#include "left_alone.hpp"

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::overlay {

void LeftAlone::add(const std::string& name, const std::string& directory,
                    const absl::Status& reason) {
  const std::lock_guard lock(mutex_);
  entries_.insert_or_assign(name, Entry{directory, reason});
}

absl::Status LeftAlone::check(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      support::strCat(name, " is left alone: ", found->second.reason.message()));
}

std::map<std::string, std::string> LeftAlone::list() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> reasons;
  for (const auto& [name, entry] : entries_)
    reasons[name] = std::string(support::fromAbsl(entry.reason.message()));
  return reasons;
}

std::vector<std::string> LeftAlone::dropGone() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> gone;
  for (auto at = entries_.begin(); at != entries_.end();) {
    if (support::pathExists(at->second.directory)) {
      ++at;
    } else {
      gone.push_back(at->first);
      at = entries_.erase(at);
    }
  }
  return gone;
}

}  // namespace berth::overlay
