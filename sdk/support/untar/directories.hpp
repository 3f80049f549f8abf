// The directories that entries go into: found, made where they are missing, and kept open, because
// neighbours in an archive mostly share one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unordered_map>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::untar {

using SharedFd = std::shared_ptr<const support::Fd>;

// Directories that were made for entries below them and that no entry has described yet.
class Implied {
 public:
  // RESOURCE_EXHAUSTED past the bound: an entry of a few bytes can imply two thousand directories,
  // whose paths the caller keeps for as long as there is the layer.
  absl::Status add(ino_t inode, std::string path);
  void erase(ino_t inode);
  const std::unordered_map<ino_t, std::string>& paths() const { return paths_; }

 private:
  std::unordered_map<ino_t, std::string> paths_;
  uint64_t bytes_ = 0;
};

class Directories {
 public:
  // `root` is borrowed.
  explicit Directories(int root) : root_(root) {}

  // The directory at `path` (see LayerPath::parent), open for reading. Links on the way stay inside
  // the root. Missing directories are made.
  absl::StatusOr<SharedFd> open(const std::string& path);

  // As open(), but NOT_FOUND where it is missing.
  absl::StatusOr<SharedFd> find(const std::string& path);

  // To be called when a directory or a link has been removed: paths may lead elsewhere now.
  void forget() {
    cache_.clear();
    last_.reset();
  }

  // An entry describes the directory: it is not implied any more.
  void described(ino_t inode) { implied_.erase(inode); }
  // The root, until an entry describes it.
  void implyRoot(ino_t inode) { (void)implied_.add(inode, ""); }
  // Those that no entry described and that are still there, parents first.
  std::vector<std::string> implied() const;

 private:
  absl::StatusOr<SharedFd> remember(const std::string& path, support::Fd directory);
  absl::StatusOr<support::Fd> make(const std::string& path);

  const int root_;
  std::unordered_map<std::string, SharedFd> cache_;
  std::string lastPath_;
  SharedFd last_;
  Implied implied_;
};

// open() below `root` as if that were the root of the file system.
support::Fd openInRoot(int root, const std::string& path, int flags);

}  // namespace berth::untar
