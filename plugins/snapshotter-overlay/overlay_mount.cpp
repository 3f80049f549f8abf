#include "overlay_mount.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

// A file system that is being set up (fsopen(2)).
class FilesystemContext {
 public:
  static absl::StatusOr<FilesystemContext> open(std::string source) {
    Fd fd(::fsopen("overlay", FSOPEN_CLOEXEC));
    if (!fd) return errnoStatus(errno, "open the overlay file system (is the module loaded?)");
    return FilesystemContext(std::move(fd), std::move(source));
  }

  absl::Status flag(const std::string& key) { return set(FSCONFIG_SET_FLAG, key, nullptr, 0); }
  absl::Status text(const std::string& key, const std::string& value) {
    return set(FSCONFIG_SET_STRING, key, value.c_str(), 0);
  }
  absl::Status descriptor(const std::string& key, const Fd& fd) {
    return set(FSCONFIG_SET_FD, key, nullptr, fd.get());
  }
  absl::StatusOr<Fd> mount(unsigned attributes) {
    if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
      return failure(errno, "create the overlay");
    Fd mount(::fsmount(fd_.get(), FSMOUNT_CLOEXEC, attributes));
    if (!mount) return failure(errno, "mount the overlay");
    return mount;
  }

 private:
  FilesystemContext(Fd fd, std::string source) : fd_(std::move(fd)), source_(std::move(source)) {}

  absl::Status set(unsigned command, const std::string& key, const char* value, int aux) {
    if (::fsconfig(fd_.get(), command, key.c_str(), value, aux) == 0) return absl::OkStatus();
    return failure(errno, strCat("set the overlay's parameter ", key, value != nullptr ? "=" : "",
                                 value != nullptr ? value : ""));
  }

  // The kernel's own words come out of the context, one message for each read.
  absl::Status failure(int error, std::string_view doing) {
    std::string words;
    char message[512];
    for (;;) {
      const ssize_t size = ::read(fd_.get(), message, sizeof message);
      if (size <= 0) break;
      std::string_view text(message, static_cast<size_t>(size));
      if (text.ends_with('\n')) text.remove_suffix(1);
      words += strCat(words.empty() ? " (kernel: " : "; ", text);
    }
    if (!words.empty()) words += ")";
    return errnoStatus(error, strCat(source_, ": ", doing, words));
  }

  Fd fd_;
  std::string source_;
};

absl::Status setOptions(FilesystemContext& context, const OverlayPlan& plan) {
  BERTH_RETURN_IF_ERROR(context.text("source", plan.source));
  for (const std::string& option : plan.options) {
    const size_t equals = option.find('=');
    BERTH_RETURN_IF_ERROR(equals == std::string::npos
                              ? context.flag(option)
                              : context.text(option.substr(0, equals), option.substr(equals + 1)));
  }
  if (!plan.selinuxLabel.empty()) BERTH_RETURN_IF_ERROR(context.text("context", plan.selinuxLabel));
  return absl::OkStatus();
}

// Adds the layers, highest first. Mapped ones are clones of their mounts, which go away with their
// descriptors: those must be kept until the overlay has been created.
absl::StatusOr<std::vector<Fd>> addLowers(FilesystemContext& context, const OverlayPlan& plan) {
  std::vector<Fd> clones;
  for (const LowerDirectory& lower : plan.lowers) {
    Fd directory;
    if (lower.mapped) {
      BERTH_ASSIGN_OR_RETURN(Fd clone, cloneDirectory(lower.path, plan.userNamespace));
      // The parameter wants a descriptor that is open for reading, not a bare path.
      directory.reset(::openat(clone.get(), ".", kDirectoryFlags));
      if (!directory) return errnoStatus(errno, strCat("open ", lower.path));
      clones.push_back(std::move(clone));
    } else {
      BERTH_ASSIGN_OR_RETURN(directory, support::openFile(lower.path, kDirectoryFlags));
    }
    BERTH_RETURN_IF_ERROR(
        support::annotate(context.descriptor("lowerdir+", directory), lower.path));
  }
  return clones;
}

absl::StatusOr<Fd> makeOverlayByDescriptors(const OverlayPlan& plan) {
  BERTH_ASSIGN_OR_RETURN(FilesystemContext context, FilesystemContext::open(plan.source));
  BERTH_RETURN_IF_ERROR(setOptions(context, plan));
  BERTH_ASSIGN_OR_RETURN(const std::vector<Fd> clones, addLowers(context, plan));
  if (plan.upper.empty()) {
    BERTH_RETURN_IF_ERROR(context.flag("ro"));
    return context.mount(MOUNT_ATTR_RDONLY);
  }
  BERTH_ASSIGN_OR_RETURN(const Fd upper, support::openFile(plan.upper, kDirectoryFlags));
  BERTH_RETURN_IF_ERROR(context.descriptor("upperdir", upper));
  BERTH_ASSIGN_OR_RETURN(const Fd work, support::openFile(plan.work, kDirectoryFlags));
  BERTH_RETURN_IF_ERROR(context.descriptor("workdir", work));
  return context.mount(0);
}

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      const auto digit = [&](size_t at) { return text[at] - '0'; };
      result.push_back(static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3)));
      i += 3;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

// Calls `visit(target, options of the file system)`, both escaped, for each overlay with the
// source.
template <class Visit>
absl::Status forEachMount(const std::string& source, const Visit& visit) {
  BERTH_ASSIGN_OR_RETURN(const std::string table, support::readFile("/proc/thread-self/mountinfo"));
  for (const absl::string_view line : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    // "… <target> <options> [fields] - <type> <source> <options>" (proc(5)).
    const std::vector<absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const std::vector<absl::string_view> mount = absl::StrSplit(halves[0], ' ');
    const std::vector<absl::string_view> system = absl::StrSplit(halves[1], ' ');
    constexpr size_t kTarget = 4;
    if (mount.size() <= kTarget || system.size() < 3 || system[0] != "overlay") continue;
    if (unescape(support::fromAbsl(system[1])) == source) visit(mount[kTarget], system[2]);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Fd> cloneDirectory(const std::string& path, int userNamespace) {
  BERTH_ASSIGN_OR_RETURN(Fd clone, support::cloneMount(path));
  if (userNamespace >= 0) BERTH_RETURN_IF_ERROR(support::mapMountIds(clone, path, userNamespace));
  return clone;
}

absl::StatusOr<Fd> makeOverlay(const OverlayPlan& plan, MountApi api) {
  return api == MountApi::kNames ? makeOverlayByNames(plan) : makeOverlayByDescriptors(plan);
}

absl::StatusOr<std::vector<std::string>> mountsOf(const std::string& source) {
  std::vector<std::string> targets;
  BERTH_RETURN_IF_ERROR(forEachMount(source, [&](absl::string_view target, absl::string_view) {
    targets.push_back(unescape(support::fromAbsl(target)));
  }));
  return targets;
}

absl::StatusOr<std::vector<std::string>> lowersOf(const std::string& source) {
  std::vector<std::string> lowers;
  BERTH_RETURN_IF_ERROR(forEachMount(source, [&](absl::string_view, absl::string_view options) {
    for (absl::string_view option : absl::StrSplit(options, ',')) {
      if (absl::ConsumePrefix(&option, "lowerdir+=")) {
        lowers.push_back(unescape(support::fromAbsl(option)));
      } else if (absl::ConsumePrefix(&option, "lowerdir=")) {
        for (const absl::string_view one : absl::StrSplit(option, ':'))
          lowers.push_back(unescape(support::fromAbsl(one)));
      }
    }
  }));
  return lowers;
}

}  // namespace berth::overlay
