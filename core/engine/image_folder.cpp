#include "engine/image_folder.hpp"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/user_namespace.hpp"
#include "engine/volume_records.hpp"

namespace berth::engine {

absl::Status makeImageFolder(const std::string& path, const records::PodRecord& pod) {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(path.substr(0, path.rfind('/')), 0711));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(path, 0700));
  const support::IdRanges groups = knownNamespace(pod).gids;
  if (groups.empty()) return absl::OkStatus();
  if (::chown(path.c_str(), 0, support::outsideId(groups, 0)) != 0 ||
      ::chmod(path.c_str(), 0710) != 0)
    return support::errnoStatus(errno, support::strCat("let the pod's root pass ", path));
  return absl::OkStatus();
}

}  // namespace berth::engine
