#include "sets.hpp"

#include <algorithm>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::layout {

using support::strCat;

namespace {

// More are read again each time.
constexpr size_t kMostKept = 256;
constexpr size_t kMostBytes = 64u << 20;

constexpr const char* kTelling[] = {"/index.json", "/manifest.json"};

bool isFolder(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool isSetFolder(const std::string& path) {
  return std::any_of(std::begin(kTelling), std::end(kTelling),
                     [&path](const char* name) { return support::pathExists(path + name); });
}

// Changes whenever what it stands for does; empty when nothing is there.
std::string identityOf(const std::string& path) {
  std::string identity;
  const auto add = [&identity](const std::string& file) {
    struct stat info = {};
    if (::stat(file.c_str(), &info) != 0) return;
    identity += strCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec,
                       " ", info.st_mtim.tv_nsec, ";");
  };
  if (!isFolder(path)) {
    add(path);
    return identity;
  }
  for (const char* name : kTelling) add(path + name);
  return identity;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ImageSet>> Sets::at(const std::string& path,
                                                         const Check& check) {
  const std::string identity = identityOf(path);
  {
    std::lock_guard lock(mutex_);
    const auto found = kept_.find(path);
    if (found != kept_.end() && !identity.empty() && found->second.identity == identity) {
      found->second.used = ++uses_;
      return found->second.set;
    }
  }
  auto set = ImageSet::open(path, check);
  // What says the same the next time is not asked again; a call that was given up says nothing.
  const bool lasting =
      set.ok() || absl::IsInvalidArgument(set.status()) || absl::IsResourceExhausted(set.status());
  if (lasting && !identity.empty()) keep(path, {identity, set, 0});
  return set;
}

void Sets::keep(const std::string& path, Kept kept) {
  std::lock_guard lock(mutex_);
  kept.used = ++uses_;
  kept.bytes = kept.set.ok() ? (*kept.set)->bytes() : kept.set.status().message().size();
  bytes_ += kept.bytes;
  if (const auto old = kept_.find(path); old != kept_.end()) bytes_ -= old->second.bytes;
  kept_.insert_or_assign(path, std::move(kept));
  while (kept_.size() > kMostKept || bytes_ > kMostBytes) {
    const auto oldest = std::min_element(
        kept_.begin(), kept_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    bytes_ -= oldest->second.bytes;
    kept_.erase(oldest);
  }
}

std::vector<std::string> Sets::within(const std::string& path) {
  if (!isFolder(path) || isSetFolder(path)) {
    if (support::pathExists(path)) return {path};
    return {};
  }
  std::vector<std::string> found;
  const auto names = support::listDirectory(path);
  if (!names.ok()) return found;
  for (const std::string& name : *names) {
    std::string one = strCat(path, "/", name);
    // Beside them other files may lie, such as lists of checksums.
    if (isFolder(one) ? isSetFolder(one) : name.ends_with(".tar")) found.push_back(std::move(one));
  }
  return found;
}

}  // namespace berth::layout
