#include "common/installed_program.hpp"

#include <unistd.h>

#include <climits>

#include "berth/support/status.hpp"

namespace berth::common {

using support::errnoStatus;
using support::strCat;

absl::StatusOr<std::string> installedPrefix() {
  char self[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self);
  if (size <= 0) return errnoStatus(errno, "read the link /proc/self/exe");
  std::string folder(self, static_cast<size_t>(size));
  for (int up = 0; up < 2 && !folder.empty(); ++up) folder.resize(folder.rfind('/'));
  return folder;
}

absl::StatusOr<std::string> installedProgram(std::string_view name) {
  BERTH_ASSIGN_OR_RETURN(const std::string prefix, installedPrefix());
  std::string path = strCat(prefix, "/libexec/berth/", name);
  if (::access(path.c_str(), X_OK) != 0) return errnoStatus(errno, strCat("execute ", path));
  return path;
}

}  // namespace berth::common
