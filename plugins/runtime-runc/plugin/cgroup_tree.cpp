#include "cgroup_tree.hpp"

#include <cerrno>
#include <dirent.h>
#include <memory>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "cgroup_text.hpp"

namespace berth::runc {

using support::strCat;

absl::Status listCgroupTree(const std::string& directory, std::vector<std::string>& out) {
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(directory.c_str()), &::closedir);
  if (opened == nullptr && errno == ENOENT) return absl::OkStatus();
  const auto failed = [&] { return support::errnoStatus(errno, strCat("list ", directory)); };
  if (opened == nullptr) return failed();
  errno = 0;
  while (const dirent* entry = ::readdir(opened.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      BERTH_RETURN_IF_ERROR(listCgroupTree(strCat(directory, "/", entry->d_name), out));
    }
    errno = 0;
  }
  // It may have been removed meanwhile.
  if (errno != 0 && errno != ENOENT) return failed();
  out.push_back(directory);
  return absl::OkStatus();
}

bool mayHaveChildren(const std::string& directory) {
  struct stat info = {};
  // A directory has a link for itself, one for its name, and one for each below it; file systems
  // that do not count them say 1.
  return ::stat(directory.c_str(), &info) == 0 && info.st_nlink != 2;
}

void forEachNumber(const std::string& directory, const char* name,
                   const std::function<bool(pid_t)>& take) {
  std::vector<std::string> tree;
  if (mayHaveChildren(directory)) {
    // What cannot be listed now is counted the next time.
    listCgroupTree(directory, tree).IgnoreError();
  } else {
    tree.push_back(directory);
  }
  for (const std::string& one : tree) {
    const auto text = support::readFile(strCat(one, "/", name));
    if (!text.ok()) continue;
    std::string_view rest = *text;
    while (!rest.empty()) {
      uint64_t number = 0;
      if (!parseNumber(cut(rest, '\n'), number) || number == 0 || number > INT32_MAX) continue;
      if (!take(static_cast<pid_t>(number))) return;
    }
  }
}

}  // namespace berth::runc
