#include "engine/own_directory.hpp"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/spec/namespaces.hpp"

namespace berth::engine {

absl::Status makeOwnDirectory(const std::string& path, const Pod& pod) {
  BERTH_ASSIGN_OR_RETURN(
      const spec::PodNamespaces namespaces,
      pod.peek([](const records::PodRecord& r) { return spec::podNamespaces(r.config()); }));
  // Everybody passes those above, and this one until something is in it.
  BERTH_RETURN_IF_ERROR(support::makeDirectories(path, 0711));
  const gid_t group = namespaces.user ? namespaces.gids[0].host_id() : 0;
  const mode_t mode = namespaces.user ? 0710 : 0700;
  if (::lchown(path.c_str(), 0, group) == 0 && ::chmod(path.c_str(), mode) == 0)
    return absl::OkStatus();
  return support::errnoStatus(errno, support::strCat("close ", path, " to others"));
}

}  // namespace berth::engine
