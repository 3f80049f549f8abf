#include "upper_kind.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <linux/magic.h>
#include <string_view>
#include <sys/vfs.h>
#include <utility>

#include "berth/support/status.hpp"

namespace berth::overlay {

namespace {

// By the kernel's numbers for them (statfs(2)).
constexpr std::array<std::pair<uint32_t, std::string_view>, 5> kUnfit = {{
    {OVERLAYFS_SUPER_MAGIC, "an overlay"},
    {NFS_SUPER_MAGIC, "NFS"},
    {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB"},
    {MSDOS_SUPER_MAGIC, "FAT"},
}};

}  // namespace

absl::Status refuseAsUpper(std::string folder) {
  struct statfs system = {};
  while (::statfs(folder.c_str(), &system) != 0) {
    if ((errno != ENOENT && errno != ENOTDIR) || folder.size() <= 1) return absl::OkStatus();
    folder.resize(std::max<size_t>(folder.rfind('/'), 1));
  }
  for (const auto& [magic, name] : kUnfit) {
    if (static_cast<uint32_t>(system.f_type) != magic) continue;
    return absl::FailedPreconditionError(support::strCat(
        "overlays cannot be mounted from ", folder, ", which is on ", name,
        ": put root, or the option root of this snapshotter, on ext4, XFS or btrfs"));
  }
  return absl::OkStatus();
}

}  // namespace berth::overlay
