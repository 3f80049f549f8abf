#include "host_parts.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "berth/support/threads.hpp"

namespace berth::kata {

using support::strCat;

namespace {

constexpr const char* kCgroups = "/sys/fs/cgroup";

bool isPathOrBelow(std::string_view path, std::string_view above) {
  if (above == "/") return true;
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

}  // namespace

absl::Status makeNetworkNamespace(const std::string& path) {
  BERTH_RETURN_IF_ERROR(makeMountPoint(path));
  return support::onOwnThread([&]() -> absl::Status {
    if (::unshare(CLONE_NEWNET) != 0) {
      return support::errnoStatus(errno, "make a network namespace");
    }
    return support::bindMount("/proc/thread-self/ns/net", path);
  });
}

absl::Status inNetworkNamespace(const std::string& path,
                                const std::function<absl::Status()>& work) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd pin, support::openFile(path, O_RDONLY));
  return support::onOwnThread([&]() -> absl::Status {
    if (::setns(pin.get(), CLONE_NEWNET) != 0) {
      return support::errnoStatus(errno, strCat("enter the network namespace ", path));
    }
    return work();
  });
}

absl::Status makeFifo(const std::string& path) {
  if (support::steps::mknodat(AT_FDCWD, path.c_str(), S_IFIFO | 0600, 0) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return support::errnoStatus(errno, strCat("make the FIFO ", path));
}

absl::Status makeMountPoint(const std::string& path) {
  return support::openFile(path, O_RDONLY | O_CREAT, 0600).status();
}

bool hasCgroupV2Alone() {
  return support::pathExists(strCat(kCgroups, "/cgroup.controllers"));
}

std::string cgroupNamed(std::string_view part, std::string_view text) {
  const std::string path = support::unifiedCgroupIn(text);
  const bool isNamed = path.find(part, path.rfind('/') + 1) != std::string::npos;
  return isNamed ? strCat(kCgroups, path) : "";
}

std::vector<std::string> cgroupFolders(const std::string& path) {
  std::vector<std::string> roots{kCgroups};
  if (!hasCgroupV2Alone()) {
    const auto names = support::listDirectory(kCgroups);
    roots.clear();
    struct stat info {};
    if (names.ok()) {
      for (const std::string& name : *names) {
        std::string root = strCat(kCgroups, "/", name);
        // Links are further names of the same hierarchies.
        if (::lstat(root.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
          roots.push_back(std::move(root));
        }
      }
    }
  }
  std::vector<std::string> folders;
  for (const std::string& root : roots) {
    std::string folder = root;
    for (const auto& part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
      folder += strCat("/", support::fromAbsl(part));
      folders.push_back(folder);
    }
  }
  return folders;
}

absl::StatusOr<bool> isShared(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string table, support::readFile("/proc/self/mountinfo"));
  std::string_view closest;
  bool shared = false;
  // The later of two mounts at one place is the upper one (proc(5), "mountinfo").
  for (const auto& each : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    const std::string_view line = support::fromAbsl(each);
    const std::vector<std::string> fields = absl::StrSplit(each, ' ');
    if (fields.size() < 7 || !isPathOrBelow(path, fields[4])) continue;
    if (fields[4].size() < closest.size()) continue;
    const size_t at = line.find(fields[4]);
    closest = line.substr(at, fields[4].size());
    shared = false;
    for (size_t i = 6; i < fields.size() && fields[i] != "-"; ++i) {
      shared = shared || fields[i].starts_with("shared:");
    }
  }
  return shared;
}

absl::Status makeShared(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const bool shared, isShared(path));
  if (shared) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const bool mounted, support::isMountPoint(path));
  if (!mounted) BERTH_RETURN_IF_ERROR(support::bindMount(path, path));
  return support::setPropagation(path, support::Propagation::kShared);
}

}  // namespace berth::kata
