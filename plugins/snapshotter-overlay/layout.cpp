#include "layout.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr std::string_view kReplaced = "~";

bool all(std::string_view text, bool (*fits)(char)) {
  return std::all_of(text.begin(), text.end(), fits);
}
bool isLowerHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}
bool isAlgorithm(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}
bool isKeyCharacter(char c) {
  return isAlgorithm(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' || c == ':' ||
         c == '@' || c == '+';
}

}  // namespace

absl::Status checkDigest(std::string_view digest) {
  constexpr size_t kShortest = 32;
  constexpr size_t kLongest = 128;
  const size_t colon = digest.find(':');
  if (colon != std::string_view::npos && colon > 0 && colon < 32 &&
      all(digest.substr(0, colon), isAlgorithm)) {
    const std::string_view encoded = digest.substr(colon + 1);
    if (encoded.size() >= kShortest && encoded.size() <= kLongest && all(encoded, isLowerHex))
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      strCat("the diff ID \"", digest.substr(0, 200), "\" is no digest such as sha256:<hex>"));
}

absl::Status checkKey(std::string_view key) {
  constexpr size_t kLongest = 160;
  if (!key.empty() && key.size() <= kLongest && key.front() != '.' && all(key, isKeyCharacter))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("the snapshot key \"", key.substr(0, 200), "\" must have 1 to ", kLongest,
             " letters, digits or any of -_.:@+ and not begin with a dot"));
}

std::string Layout::layer(std::string_view digest) const {
  std::string name(digest);
  std::replace(name.begin(), name.end(), ':', '-');
  return strCat(root_, "/layers/", name);
}

std::string Layout::replacedLayer(std::string_view digest) const {
  return strCat(layer(digest), kReplaced, support::randomId());
}

bool isReplaced(std::string_view directoryName) {
  return directoryName.find(kReplaced) != std::string_view::npos;
}

std::string digestOf(std::string_view directoryName) {
  std::string digest(directoryName.substr(0, directoryName.find(kReplaced)));
  const size_t dash = digest.find('-');
  if (dash != std::string::npos) digest[dash] = ':';
  return digest;
}

std::string Layout::snapshot(std::string_view key) const {
  return strCat(root_, "/snapshots/", key);
}

std::string Layout::stagingPath() const {
  return strCat(staging(), "/", support::randomId());
}

absl::StatusOr<Fd> Layout::create() const {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(root_, 0700));
  // Layers hold set-id programs that no one on the host may run: only root passes the root.
  if (::chmod(root_.c_str(), 0700) != 0)
    return errnoStatus(errno, strCat("set the mode of ", root_));
  const std::string lockPath = root_ + "/lock";
  BERTH_ASSIGN_OR_RETURN(Fd lock, support::openFile(lockPath, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return absl::FailedPreconditionError(
          strCat("lock ", lockPath, ": another snapshotter uses this root; give each its own"));
    return errnoStatus(errno, strCat("lock ", lockPath));
  }
  for (const std::string& path : {layers(), snapshots(), staging(), mountPoint()})
    BERTH_RETURN_IF_ERROR(support::makeDirectories(path, 0700));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(empty(), 0755));
  return lock;
}

absl::StatusOr<std::string> Layout::discard(const std::string& path) const {
  std::string target = stagingPath();
  if (support::steps::rename(path.c_str(), target.c_str()) == 0) return target;
  if (errno == ENOENT) return std::string();
  return errnoStatus(errno, strCat("move ", path, " to ", target));
}

}  // namespace berth::overlay
