#include "berth/support/aside.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::support {

namespace {

// Nobody looks at more, and something that is damaged again and again must not fill the disk.
constexpr size_t kMost = 100;

// Sorts as the times do.
std::string timeName() {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(nowNanoseconds()));
  return digits;
}

}  // namespace

absl::StatusOr<std::string> AsideFolder::take(const std::string& path,
                                              std::string_view name) const {
  BERTH_RETURN_IF_ERROR(makeDirectories(folder_, 0700));
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> before, list());
  for (size_t i = 0; i + kMost <= before.size(); ++i) removePath(before[i]).IgnoreError();
  std::string target = strCat(folder_, "/", timeName(), "-", name);
  if (steps::rename(path.c_str(), target.c_str()) == 0) return target;
  if (errno == ENOENT) return std::string();
  return errnoStatus(errno, strCat("set ", path, " aside as ", target));
}

std::string AsideFolder::put(const DamagedFile& file, std::string_view kind) const {
  const auto taken = take(file.path, strCat(kind, file.path.substr(file.path.rfind('/') + 1)));
  if (!taken.ok()) return std::string(fromAbsl(taken.status().message()));
  return taken->empty() ? "it is not there any more" : *taken;
}

absl::StatusOr<std::vector<std::string>> AsideFolder::list() const {
  auto names = listDirectory(folder_);
  if (absl::IsNotFound(names.status())) return std::vector<std::string>();
  BERTH_RETURN_IF_ERROR(names.status());
  std::sort(names->begin(), names->end());
  for (std::string& name : *names) name = strCat(folder_, "/", name);
  return names;
}

bool isCutOff(std::string_view content) {
  return content.find_first_not_of('\0') == std::string_view::npos;
}

std::string describeAside(std::string_view path) {
  return strCat(path,
                " was damaged and is set aside: nothing uses it; remove it when you have "
                "seen what is in it");
}

}  // namespace berth::support
