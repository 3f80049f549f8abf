#include "engine/filesystems.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mntent.h>
#include <sys/statvfs.h>

#include <climits>

namespace berth::engine {

namespace {

bool liesBelow(std::string_view path, std::string_view mountPoint) {
  if (mountPoint == "/") return true;
  return path.starts_with(mountPoint) &&
         (path.size() == mountPoint.size() || path[mountPoint.size()] == '/');
}

}  // namespace

std::string deviceOf(const std::string& path) {
  char real[PATH_MAX];
  if (::realpath(path.c_str(), real) == nullptr) return {};
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(::setmntent("/proc/self/mounts", "re"),
                                                     &::endmntent);
  if (mounts == nullptr) return {};
  std::string device;
  size_t longest = 0;
  mntent entry = {};
  char text[2 * PATH_MAX];
  while (::getmntent_r(mounts.get(), &entry, text, sizeof text) != nullptr) {
    const std::string_view point = entry.mnt_dir;
    // Of several at one place the last one is on top.
    if (point.size() < longest || !liesBelow(real, point)) continue;
    longest = point.size();
    device = entry.mnt_fsname;
  }
  return device;
}

Filesystems::Place Filesystems::place(const plugins::Operation& op,
                                      const std::string& snapshotter) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(snapshotter);
    if (found != places_.end()) return found->second;
  }
  auto plugin = registry_.snapshotter(snapshotter);
  if (!plugin.ok()) return {};
  auto filesystem = (*plugin)->filesystem(op);
  if (!filesystem.ok()) return {};
  Place place{filesystem->path, deviceOf(filesystem->path)};
  const std::lock_guard lock(mutex_);
  return places_[snapshotter] = std::move(place);
}

std::string Filesystems::directory(const plugins::Operation& op, const std::string& snapshotter) {
  return place(op, snapshotter).directory;
}

std::optional<metrics::Filesystem> Filesystems::look(const plugins::Operation& op,
                                                     const std::string& snapshotter) {
  const Place where = place(op, snapshotter);
  struct statvfs info = {};
  if (where.directory.empty() || ::statvfs(where.directory.c_str(), &info) != 0) return {};
  return metrics::Filesystem{.device = where.device,
                             .capacity = uint64_t{info.f_blocks} * info.f_frsize,
                             .inodes = info.f_files,
                             .inodesFree = info.f_ffree};
}

}  // namespace berth::engine
