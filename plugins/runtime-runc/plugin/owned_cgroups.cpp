#include "owned_cgroups.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
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

absl::StatusOr<std::set<std::string>> OwnedCgroups::read() const {
  const auto text = support::readFile(file_);
  if (absl::IsNotFound(text.status())) return std::set<std::string>();
  BERTH_RETURN_IF_ERROR(text.status());
  const auto document = support::parseJsonObject(*text, file_);
  if (!document.ok()) return absl::DataLossError(document.status().message());
  const int64_t version = support::intMember(*document, "version");
  if (version > kVersion)
    return absl::FailedPreconditionError(
        support::strCat(file_, " has version ", version, " of a newer plugin, and is left alone"));
  const auto list = support::stringsMember(*document, "directories");
  return std::set<std::string>(list.begin(), list.end());
}

absl::Status OwnedCgroups::load() {
  const auto known = read();
  const std::lock_guard lock(mutex_);
  isOthers_ = absl::IsFailedPrecondition(known.status());
  BERTH_RETURN_IF_ERROR(known.status());
  saved_ = *known;
  directories_ = *known;
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

// What another instance has written since stays in the file.
absl::Status OwnedCgroups::saveLocked() {
  if (isOthers_) return absl::OkStatus();
  const std::string folder = file_.substr(0, file_.rfind('/'));
  BERTH_ASSIGN_OR_RETURN(const support::Fd turn, support::openFile(folder, O_RDONLY | O_DIRECTORY));
  while (::flock(turn.get(), LOCK_EX) != 0)
    if (errno != EINTR) return support::errnoStatus(errno, support::strCat("lock ", folder));
  auto kept = read();
  if (absl::IsFailedPrecondition(kept.status())) return absl::OkStatus();
  // One that is damaged was set aside, or is told of at the next start: what this one knows stays.
  if (absl::IsDataLoss(kept.status())) kept = saved_;
  BERTH_RETURN_IF_ERROR(kept.status());
  for (const std::string& gone : saved_)
    if (directories_.count(gone) == 0) kept->erase(gone);
  for (const std::string& mine : directories_)
    if (saved_.count(mine) == 0) kept->insert(mine);
  if (kept->empty()) {
    BERTH_RETURN_IF_ERROR(support::removePath(file_));
  } else {
    const boost::json::array list(kept->begin(), kept->end());
    BERTH_RETURN_IF_ERROR(support::replaceFile(
        file_,
        boost::json::serialize(boost::json::object{{"version", kVersion}, {"directories", list}}),
        0600, support::Durability::kVisible));
  }
  saved_ = directories_;
  return absl::OkStatus();
}

}  // namespace berth::runc
