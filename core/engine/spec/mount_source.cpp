#include "engine/spec/mount_source.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <linux/close_range.h>
#include <memory>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

absl::Status cannotResolve(int error, const std::string& path) {
  return support::errnoStatus(error, support::strCat("resolve ", path));
}

// The nearest part of the path that exists.
std::string existingPart(std::string path) {
  std::error_code error;
  while (path != "/" && !std::filesystem::exists(path, error))
    path = std::filesystem::path(path).parent_path().string();
  return path;
}

absl::StatusOr<MountSource> look(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (real) return MountSource{.path = real.get(), .existing = real.get()};
  if (errno != ENOENT) return cannotResolve(errno, path);
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, error);
  if (error) return cannotResolve(error.value(), path);
  MountSource source{.path = cleanPath(canonical.string())};
  struct stat status {};
  source.dangling = ::lstat(canonical.c_str(), &status) == 0;
  source.existing = existingPart(source.path);
  return source;
}

}  // namespace

std::vector<absl::StatusOr<MountSource>> lookAtSources(const std::vector<std::string>& paths) {
  std::vector<absl::StatusOr<MountSource>> sources;
  const absl::Status looked = support::onOwnThread([&] {
    // Where the kernel refuses it, they are looked at all the same.
    ::syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, CLOSE_RANGE_UNSHARE);
    for (const std::string& path : paths) sources.push_back(look(path));
    return absl::OkStatus();
  });
  if (!looked.ok()) sources.assign(paths.size(), looked);
  return sources;
}

}  // namespace berth::spec
