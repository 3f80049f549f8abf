#include "common/trust.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "common/refusal.hpp"

namespace berth::common {

using support::strCat;

absl::Status refuseWritableByOthers(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return absl::OkStatus();
  // Whoever may change a pipe or a device that is named has had to be let in already.
  if (!S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) return absl::OkStatus();
  const uid_t user = ::geteuid();
  if (found.st_uid != 0 && found.st_uid != user) {
    return refusal(
        absl::FailedPreconditionError(strCat("user ", found.st_uid, " owns ", path, ": chown root ",
                                             path, ", when nobody else uses it, or use another")));
  }
  // A user's own group is often that user alone; root's rights are never another group's.
  const bool isOwnGroup = found.st_gid == 0 || (user != 0 && found.st_gid == ::getegid());
  const bool byGroup = (found.st_mode & S_IWGRP) != 0 && !isOwnGroup;
  if (!byGroup && (found.st_mode & S_IWOTH) == 0) return absl::OkStatus();
  return refusal(absl::FailedPreconditionError(
      strCat("others than root may write to ", path, ": chmod go-w ", path, ", or use another")));
}

}  // namespace berth::common
