#include "engine/image_folder.hpp"

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "engine/volume_records.hpp"

namespace berth::engine {

absl::Status makeImageFolder(const std::string& path, const records::PodRecord& pod) {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(path.substr(0, path.rfind('/')), 0711));
  return support::makeDirectories(path, knownNamespace(pod).uids.empty() ? 0700 : 0711);
}

}  // namespace berth::engine
