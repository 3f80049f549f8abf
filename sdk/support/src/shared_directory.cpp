#include "berth/support/shared_directory.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::support {

absl::StatusOr<Fd> shareDirectory(const std::string& directory,
                                  const std::function<absl::Status()>& clear) {
  BERTH_ASSIGN_OR_RETURN(Fd owned, openFile(directory, O_RDONLY | O_DIRECTORY));
  if (::flock(owned.get(), LOCK_EX | LOCK_NB) == 0) {
    BERTH_RETURN_IF_ERROR(clear());
  } else if (errno != EWOULDBLOCK) {
    return errnoStatus(errno, strCat("lock ", directory));
  }
  // Not in one step; who comes between finds nobody, and clears what nobody has begun yet.
  while (::flock(owned.get(), LOCK_SH) != 0) {
    if (errno != EINTR) return errnoStatus(errno, strCat("lock ", directory));
  }
  return owned;
}

}  // namespace berth::support
