#include "store/reserve.hpp"

#include <cstdint>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "berth/support/files.hpp"
#include "berth/support/steps.hpp"

namespace berth::store {

namespace {

constexpr uint64_t kSize = 8u << 20;
constexpr uint64_t kFreeBytes = 3 * kSize;
constexpr uint64_t kFreeInodes = 16;

}  // namespace

bool Reserve::hasRoom(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  struct statvfs info = {};
  if (::statvfs(directory.empty() ? "." : directory.c_str(), &info) != 0) return false;
  if (uint64_t{info.f_bfree} * info.f_frsize < kFreeBytes) return false;
  // File systems without a fixed number of inodes say 0.
  return info.f_files == 0 || info.f_ffree >= kFreeInodes;
}

bool Reserve::make() const {
  struct stat info = {};
  if (::stat(path_.c_str(), &info) == 0 && uint64_t(info.st_size) >= kSize) return true;
  if (!hasRoom(path_)) return false;
  auto file = support::openFile(path_, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
  if (!file.ok()) return false;
  if (::posix_fallocate(file->get(), 0, static_cast<off_t>(kSize)) == 0) return true;
  release();
  return false;
}

bool Reserve::release() const {
  return support::steps::unlink(path_.c_str()) == 0;
}

}  // namespace berth::store
