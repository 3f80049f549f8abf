#include "owned_cgroups.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "cgroup_processes.hpp"

namespace berth::runc {

namespace {
constexpr int64_t kVersion = 1;
}  // namespace

absl::Status OwnedCgroups::load() {
  const auto text = support::readFile(file_);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(text.status());
  const auto document = support::parseJsonObject(*text, file_);
  if (!document.ok()) return absl::DataLossError(document.status().message());
  const std::lock_guard lock(mutex_);
  const int64_t version = support::intMember(*document, "version");
  if (version > kVersion) {
    isOthers_ = true;
    return absl::FailedPreconditionError(
        support::strCat(file_, " has version ", version, " of a newer plugin, and is left alone"));
  }
  for (std::string& directory : support::stringsMember(*document, "directories")) {
    directories_.insert(std::move(directory));
  }
  return absl::OkStatus();
}

absl::Status OwnedCgroups::claim(const std::string& pod, const std::string& path) {
  const std::lock_guard lock(mutex_);
  claims_[pod].insert(path);
  const std::vector<std::string> missing = missingDirectories(layout_, path);
  const size_t before = directories_.size();
  directories_.insert(missing.begin(), missing.end());
  return directories_.size() == before ? absl::OkStatus() : saveLocked();
}

absl::Status OwnedCgroups::release(const std::string& pod, std::set<std::string> paths) {
  const std::lock_guard lock(mutex_);
  if (auto claimed = claims_.extract(pod)) paths.merge(claimed.mapped());
  const size_t before = directories_.size();
  support::StatusCollector failures;
  for (const std::string& path : paths) failures.add(releaseLocked(path));
  if (directories_.size() != before) failures.add(saveLocked());
  return failures.status();
}

absl::Status OwnedCgroups::releaseLocked(const std::string& path) {
  support::StatusCollector failures;
  for (std::string at = path; !at.empty(); at.resize(at.rfind('/'))) {
    // Nor those above.
    if (directories_.empty() || isClaimedLocked(at)) break;
    for (const std::string& directory : layout_.directories(at)) {
      if (directories_.count(directory) == 0) continue;
      if (support::steps::rmdir(directory.c_str()) == 0 || errno == ENOENT) {
        directories_.erase(directory);
      } else if (errno != EBUSY && errno != ENOTEMPTY) {
        failures.add(support::errnoStatus(errno, support::strCat("remove cgroup ", directory)));
      }
    }
  }
  return failures.status();
}

// Whether a pod is about to make a container there or below.
bool OwnedCgroups::isClaimedLocked(const std::string& path) const {
  const std::string below = path + "/";
  return std::any_of(claims_.begin(), claims_.end(), [&](const auto& claimed) {
    return std::any_of(claimed.second.begin(), claimed.second.end(), [&](const std::string& one) {
      return one == path || one.starts_with(below);
    });
  });
}

absl::Status OwnedCgroups::saveLocked() {
  if (isOthers_) return absl::OkStatus();
  if (directories_.empty()) return support::removePath(file_);
  const boost::json::array list(directories_.begin(), directories_.end());
  return support::replaceFile(
      file_,
      boost::json::serialize(boost::json::object{{"version", kVersion}, {"directories", list}}),
      0600, support::Durability::kVisible);
}

}  // namespace berth::runc
