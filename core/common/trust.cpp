#include "common/trust.hpp"

#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "common/refusal.hpp"

namespace berth::common {

using support::strCat;

namespace {

std::optional<struct stat> statusOf(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return found;
}

}  // namespace

absl::Status refuseWritableByAll(const std::string& path) {
  const auto found = statusOf(path);
  const bool counts = found && (S_ISREG(found->st_mode) ||
                                // In a sticky folder everybody may replace only what is theirs.
                                (S_ISDIR(found->st_mode) && (found->st_mode & S_ISVTX) == 0));
  if (!counts || (found->st_mode & S_IWOTH) == 0) return absl::OkStatus();
  return refusal(absl::FailedPreconditionError(
      strCat("anybody may change ", path, ", and so what root does: chmod o-w ", path)));
}

absl::Status refuseWritableByOthers(const std::string& folder) {
  const auto found = statusOf(folder);
  if (!found) return absl::OkStatus();
  if (found->st_uid != ::geteuid()) {
    return refusal(absl::FailedPreconditionError(
        strCat("user ", found->st_uid, " owns ", folder, ": chown root ", folder,
               ", when nobody else uses it, or set another")));
  }
  const bool group = (found->st_mode & S_IWGRP) != 0 && found->st_gid != 0;
  if (!group && (found->st_mode & S_IWOTH) == 0) return absl::OkStatus();
  return refusal(absl::FailedPreconditionError(strCat(
      "others than root may write to ", folder, ": chmod go-w ", folder, ", or set another")));
}

}  // namespace berth::common
