#include "engine/closed_folder.hpp"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "berth/support/user_namespace.hpp"
#include "engine/volume_records.hpp"

namespace berth::engine {

absl::Status closeToOthers(const std::string& path, const records::PodRecord& pod) {
  const support::IdRanges groups = knownNamespace(pod).gids;
  const bool passes = groups.empty() || ::chown(path.c_str(), static_cast<uid_t>(-1),
                                                support::outsideId(groups, 0)) == 0;
  if (passes && ::chmod(path.c_str(), groups.empty() ? 0700 : 0710) == 0) return absl::OkStatus();
  return support::errnoStatus(errno, support::strCat("close ", path, " to others"));
}

}  // namespace berth::engine
