#include "made_cgroups.hpp"

#include <algorithm>
#include <set>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "host_parts.hpp"

namespace berth::kata {

using support::strCat;

absl::Status MadeCgroups::claim(Pod& pod, const std::string& links) {
  const PodRecord record = pod.record();
  // A slice is systemd's.
  std::vector<std::string> folders;
  if (!record.systemdCgroup) folders = cgroupFolders(record.cgroupParent);
  const std::lock_guard lock(mutex_);
  claims_[record.id] = folders;
  std::set<std::string> others;
  BERTH_ASSIGN_OR_RETURN(const auto ids, support::listDirectory(links));
  for (const std::string& id : ids) {
    const auto other = loadPodRecord(id, strCat(links, "/", id));
    if (other.ok()) others.insert(other->madeCgroups.begin(), other->madeCgroups.end());
  }
  std::erase_if(folders, [&](const std::string& folder) {
    return support::pathExists(folder) && !others.contains(folder);
  });
  return pod.changeRecord([&](PodRecord& r) { r.madeCgroups = std::move(folders); });
}

void MadeCgroups::release(const Pod& pod) {
  const std::vector<std::string> made = pod.record().madeCgroups;
  const std::lock_guard lock(mutex_);
  claims_.erase(pod.id());
  for (size_t i = made.size(); i-- > 0;) {
    // One that holds others' stays by itself.
    if (!isClaimedLocked(made[i])) support::steps::rmdir(made[i].c_str());
  }
}

bool MadeCgroups::isClaimedLocked(const std::string& folder) const {
  return std::any_of(claims_.begin(), claims_.end(), [&](const auto& claim) {
    return std::find(claim.second.begin(), claim.second.end(), folder) != claim.second.end();
  });
}

}  // namespace berth::kata
