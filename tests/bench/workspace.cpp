#include "workspace.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <net/if.h>
#include <sys/mount.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "procfs.hpp"

namespace berth::bench {
namespace {

constexpr char kForwarding[] = "/proc/sys/net/ipv4/ip_forward";

// Made by containerd's shims and by libcni whatever an engine's own folders are. Inner ones first.
constexpr const char* kForeignDirectories[] = {
    "/run/containerd/s", "/run/containerd/runc/k8s.io", "/run/containerd/runc",
    "/run/containerd",   "/var/lib/cni/results",        "/var/lib/cni/cache",
    "/var/lib/cni"};

absl::Status removeCgroupTree(const std::filesystem::path& path) {
  std::error_code error;
  support::StatusCollector problems;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.is_directory(error)) problems.add(removeCgroupTree(entry.path()));
  }
  problems.add(support::removePath(path.string()));
  return problems.status();
}

}  // namespace

absl::StatusOr<std::string> runProgram(std::vector<std::string> argv) {
  const std::string text = absl::StrJoin(argv, " ");
  BERTH_ASSIGN_OR_RETURN(const support::Output output, support::run({.argv = std::move(argv)}));
  if (output.exitCode == 0) return output.standardOutput;
  return absl::InternalError(
      absl::StrCat(text, ": exit code ", output.exitCode, ": ", output.standardError));
}

absl::StatusOr<std::unique_ptr<Workspace>> Workspace::create(const std::string& workDirectory,
                                                             const std::string& cgroupParent) {
  std::unique_ptr<Workspace> workspace(new Workspace());
  workspace->tag_ = support::randomId().substr(0, 8);
  // Engines see their own folders through the kernel, which has no use for links and dots.
  std::error_code error;
  const auto real = std::filesystem::canonical(workDirectory, error);
  if (error) {
    return absl::NotFoundError(absl::StrCat("--work-dir ", workDirectory, ": ", error.message()));
  }
  workspace->directory_ = (real / absl::StrCat("berth-bench-", workspace->tag_)).string();
  workspace->ownCgroups_ = cgroupParent.empty();
  workspace->cgroupParent_ =
      cgroupParent.empty() ? absl::StrCat("/berth-bench-", workspace->tag_) : cgroupParent;
  if (auto forwarding = support::readFile(kForwarding); forwarding.ok()) {
    workspace->forwarding_ = *forwarding;
  }
  for (const char* path : kForeignDirectories) {
    if (!support::pathExists(path)) workspace->madeDirectories_.emplace_back(path);
  }
  BERTH_RETURN_IF_ERROR(support::makeDirectories(workspace->directory_, 0711));
  return workspace;
}

Workspace::~Workspace() {
  const absl::Status status = cleanUp();
  if (!status.ok()) std::cerr << "berth-bench: clean-up: " << status.message() << "\n";
}

std::string Workspace::environmentMark() const {
  return absl::StrCat("BERTH_BENCH_RUN=", tag_);
}

std::string Workspace::bridgeName() {
  bridges_.push_back(absl::StrCat("bb", tag_, bridges_.size()));
  return bridges_.back();
}

absl::Status Workspace::makeStateFolder(const std::string& path) const {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(path, 0711));
  return support::mountFilesystem("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711");
}

absl::Status Workspace::cleanUp() {
  support::StatusCollector problems;
  problems.add(killLeftProcesses());
  problems.add(removeMounts());
  problems.add(removeBridges());
  problems.add(removeCgroups());
  for (const std::string& path : strayFiles_) problems.add(support::removePath(path));
  strayFiles_.clear();
  // What others have put into these folders meanwhile keeps them.
  for (const std::string& path : madeDirectories_) ::rmdir(path.c_str());
  if (!forwarding_.empty()) problems.add(support::writeControlFile(kForwarding, forwarding_));
  problems.add(support::removeTree(directory_));
  return problems.status();
}

absl::Status Workspace::killLeftProcesses() const {
  support::StatusCollector problems;
  for (const ProcessId& process : listProcesses()) {
    if (process.pid == ::getpid()) continue;
    const auto stat = readProcessStat(process.pid);
    // Somebody who only looks into the folder has a parent; a helper left behind has none.
    const bool orphan = stat.ok() && stat->parent == 1;
    const bool ours = environmentHolds(process.pid, environmentMark()) ||
                      (orphan && commandLineHolds(process.pid, directory_)) ||
                      (ownCgroups_ && cgroupHolds(process.pid, cgroupParent_));
    if (ours) problems.add(killAndAwait(process));
  }
  return problems.status();
}

absl::Status Workspace::removeMounts() const {
  BERTH_ASSIGN_OR_RETURN(std::vector<std::string> mounts, mountsBelow(directory_));
  std::reverse(mounts.begin(), mounts.end());
  support::StatusCollector problems;
  for (const std::string& target : mounts) {
    problems.add(support::unmount(target, support::UnmountMode::kLazy));
  }
  return problems.status();
}

absl::Status Workspace::removeBridges() const {
  support::StatusCollector problems;
  for (const std::string& bridge : bridges_) {
    // Not from sysfs, which may show another network namespace's devices.
    if (::if_nametoindex(bridge.c_str()) == 0) continue;
    problems.add(runProgram({"ip", "link", "delete", bridge}).status());
  }
  return problems.status();
}

absl::Status Workspace::removeCgroups() const {
  // A parent that was given belongs to somebody else.
  if (!ownCgroups_) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> mounts, cgroupMounts());
  support::StatusCollector problems;
  for (const std::string& mount : mounts) {
    const std::string path = absl::StrCat(mount, cgroupParent_);
    if (support::pathExists(path)) problems.add(removeCgroupTree(path));
  }
  return problems.status();
}

}  // namespace berth::bench
