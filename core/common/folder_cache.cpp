#include "common/folder_cache.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>

#include "berth/support/clock.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::common {
namespace {

constexpr size_t kMaximumBytes = 8u << 20;
// File systems stamp changes with the time of the last clock tick, or of the second.
constexpr int64_t kFreshNanoseconds = 2'000'000'000;

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool isWanted(const std::string& name, const std::vector<std::string>& endings) {
  return !name.starts_with('.') &&
         std::any_of(endings.begin(), endings.end(), [&](const std::string& ending) {
           return name.size() > ending.size() && name.ends_with(ending);
         });
}

void addFile(const std::string& folder, size_t place, const std::string& name,
             std::vector<FolderEntry>& entries) {
  FolderEntry entry{
      .path = support::strCat(folder, "/", name), .name = name, .folder = place, .signature = {}};
  struct stat status {};
  if (::stat(entry.path.c_str(), &status) != 0) {
    // Gone since the folder was listed.
    if (errno == ENOENT) return;
    entry.problem = support::errnoStatus(errno, support::strCat("look at ", entry.path));
  } else if (!S_ISREG(status.st_mode)) {
    return;
  }
  const int64_t changed = nanoseconds(status.st_ctim);
  entry.signature = {.device = status.st_dev,
                     .inode = status.st_ino,
                     .size = status.st_size,
                     .modified = nanoseconds(status.st_mtim),
                     .changed = changed,
                     .fresh = support::nowNanoseconds() - changed < kFreshNanoseconds};
  entries.push_back(std::move(entry));
}

}  // namespace

std::vector<FolderEntry> listFolders(const std::vector<std::string>& folders,
                                     const std::vector<std::string>& endings) {
  std::vector<FolderEntry> entries;
  for (size_t place = 0; place < folders.size(); ++place) {
    const absl::StatusOr<std::vector<std::string>> names = support::listDirectory(folders[place]);
    if (absl::IsNotFound(names.status())) continue;
    if (!names.ok()) {
      entries.push_back({.path = folders[place],
                         .name = "",
                         .folder = place,
                         .signature = {.fresh = true},
                         .problem = names.status()});
      continue;
    }
    for (const std::string& name : *names)
      if (isWanted(name, endings)) addFile(folders[place], place, name, entries);
  }
  return entries;
}

absl::StatusOr<std::string> readEntry(const FolderEntry& entry) {
  return support::readFile(entry.path, kMaximumBytes);
}

}  // namespace berth::common
