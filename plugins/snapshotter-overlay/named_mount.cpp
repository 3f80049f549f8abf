// Overlays for kernels before Linux 6.13, whose layers have names only. mount(2) takes one page of
// options, so that names must be short: a thread puts short links (or, for mapped layers, mounts)
// into a tmpfs in a mount namespace of its own, mounts the overlay there, and hands out a clone of
// it. Everything else vanishes with the thread, also when the process is killed.
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "overlay_mount.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr size_t kOptionBytes = 4095;

// 0 … 9, a … z, 10 …: two characters do for more layers than the kernel stacks.
std::string shortName(size_t number) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string name;
  do {
    name.insert(name.begin(), kDigits[number % 36]);
    number /= 36;
  } while (number > 0);
  return name;
}

absl::Status link(const std::string& path, const std::string& name) {
  if (::symlink(path.c_str(), name.c_str()) == 0) return absl::OkStatus();
  return errnoStatus(errno, strCat("link ", path, " into the private mount namespace"));
}

absl::Status mountMapped(const LowerDirectory& lower, const std::string& name, int userNamespace) {
  BERTH_ASSIGN_OR_RETURN(const Fd clone, cloneDirectory(lower.path, userNamespace));
  if (::mkdir(name.c_str(), 0700) != 0) return errnoStatus(errno, strCat("make directory ", name));
  return support::attachMount(clone, name);
}

absl::Status enterPrivateNamespace(const std::string& staging) {
  if (::unshare(CLONE_NEWNS | CLONE_FS) != 0)
    return errnoStatus(errno, "make a private mount namespace");
  // Else what is mounted here would show up on the host.
  BERTH_RETURN_IF_ERROR(support::setPropagation("/", support::Propagation::kPrivate,
                                                support::MountScope::kRecursive));
  BERTH_RETURN_IF_ERROR(support::mountFilesystem("tmpfs", staging, "tmpfs", 0, "mode=700"));
  if (::chdir(staging.c_str()) != 0) return errnoStatus(errno, strCat("enter ", staging));
  return absl::OkStatus();
}

absl::StatusOr<std::string> optionText(const OverlayPlan& plan) {
  std::string text = "lowerdir=";
  for (size_t i = 0; i < plan.lowers.size(); ++i) text += strCat(i > 0 ? ":" : "", shortName(i));
  if (!plan.upper.empty()) text += ",upperdir=upper,workdir=work";
  for (const std::string& option : plan.options) text += strCat(",", option);
  // Labels with categories contain commas.
  if (!plan.selinuxLabel.empty()) text += strCat(",context=\"", plan.selinuxLabel, "\"");
  if (text.size() <= kOptionBytes) return text;
  return absl::InvalidArgumentError(
      strCat(plan.source, ": ", plan.lowers.size(), " layers are more than this kernel can mount"));
}

absl::StatusOr<Fd> mountHere(const OverlayPlan& plan) {
  BERTH_ASSIGN_OR_RETURN(const std::string options, optionText(plan));
  BERTH_RETURN_IF_ERROR(enterPrivateNamespace(plan.staging));
  for (size_t i = 0; i < plan.lowers.size(); ++i) {
    const LowerDirectory& lower = plan.lowers[i];
    BERTH_RETURN_IF_ERROR(lower.mapped ? mountMapped(lower, shortName(i), plan.userNamespace)
                                       : link(lower.path, shortName(i)));
  }
  if (!plan.upper.empty()) {
    BERTH_RETURN_IF_ERROR(link(plan.upper, "upper"));
    BERTH_RETURN_IF_ERROR(link(plan.work, "work"));
  }
  if (::mkdir("mounted", 0700) != 0) return errnoStatus(errno, "make directory mounted");
  BERTH_RETURN_IF_ERROR(support::annotate(
      support::mountFilesystem(plan.source, "mounted", "overlay",
                               plan.upper.empty() ? static_cast<unsigned long>(MS_RDONLY) : 0UL,
                               options),
      strCat("overlay with ", options)));
  Fd mount(::open_tree(AT_FDCWD, "mounted", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mount) return errnoStatus(errno, strCat(plan.source, ": clone the overlay"));
  return mount;
}

}  // namespace

absl::StatusOr<Fd> makeOverlayByNames(const OverlayPlan& plan) {
  Fd mount;
  // A namespace cannot be left for the old one without a descriptor of it, so a thread is spent.
  BERTH_RETURN_IF_ERROR(support::onOwnThread([&]() -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(mount, mountHere(plan));
    return absl::OkStatus();
  }));
  return mount;
}

}  // namespace berth::overlay
