#include "user_namespace_binds.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <vector>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "mountinfo.hpp"

namespace berth::runc {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr std::array<std::string_view, 8> kPropagations = {
    "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"};

bool hasUserNamespace(const json::object& document) {
  const json::object* parts = support::objectMember(document, "linux");
  const json::array* namespaces =
      parts != nullptr ? support::arrayMember(*parts, "namespaces") : nullptr;
  return namespaces != nullptr &&
         std::any_of(namespaces->begin(), namespaces->end(), [](const json::value& one) {
           return one.is_object() && support::stringMember(one.get_object(), "type") == "user";
         });
}

bool contains(const std::vector<std::string>& options, std::string_view option) {
  return std::find(options.begin(), options.end(), option) != options.end();
}

bool saysPropagation(const std::vector<std::string>& options) {
  return std::any_of(options.begin(), options.end(), [](const std::string& option) {
    return std::find(kPropagations.begin(), kPropagations.end(), option) != kPropagations.end();
  });
}

// As whom on the host the container's root passes directories; none where that is not said.
std::optional<gid_t> rootGroupOf(const json::object& document) {
  const json::object* parts = support::objectMember(document, "linux");
  const json::array* mappings =
      parts != nullptr ? support::arrayMember(*parts, "gidMappings") : nullptr;
  if (mappings == nullptr) return std::nullopt;
  for (const json::value& one : *mappings) {
    const json::object* mapping = one.if_object();
    if (mapping != nullptr && support::intMember(*mapping, "containerID", -1) == 0)
      return static_cast<gid_t>(support::intMember(*mapping, "hostID"));
  }
  return std::nullopt;
}

// The nearest to the root of the directories above `path` that neither everybody nor this group may
// pass: what is not there yet is its maker's business.
std::optional<std::string> barrierAbove(const std::string& path, std::optional<gid_t> group) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    std::string directory = path.substr(0, slash);
    struct stat info {};
    if (::stat(directory.c_str(), &info) != 0) return std::nullopt;
    const bool isOfGroup = group && info.st_gid == *group;
    if ((info.st_mode & (isOfGroup ? S_IXGRP : S_IXOTH)) == 0) return directory;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<std::string>> mountBelow(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile("/proc/self/mountinfo"));
  const std::string prefix = path.ends_with('/') ? path : path + "/";
  for (MountEntry& entry : parseMountinfo(text)) {
    if (entry.point.starts_with(prefix)) return std::move(entry.point);
  }
  return std::nullopt;
}

// crun before 1.9 binds from outside of the container's mount namespace, and one mount alone,
// whatever "rbind" says. It does not succeed in that with a source that is relative to the bundle,
// as the specification allows ("Mounts"), and then binds as it does without a user namespace: with
// all that is mounted below, provided that the container's root can get there.
absl::StatusOr<bool> bindWithWhatIsBelow(json::object& mount, const std::string& directory,
                                         std::optional<gid_t> group,
                                         const RuntimeFeatures& runtime) {
  const std::string given = support::stringMember(mount, "source");
  if (!given.starts_with('/')) return false;
  std::error_code error;
  // The kernel takes ".." to be above where a link has led.
  const std::filesystem::path bundle = std::filesystem::weakly_canonical(directory, error);
  if (error) return support::errnoStatus(error.value(), strCat("resolve ", directory));
  const std::filesystem::path source = std::filesystem::weakly_canonical(given, error);
  if (error) return support::errnoStatus(error.value(), strCat("resolve ", given));
  std::optional<std::string> barrier = barrierAbove(source.string(), group);
  if (!barrier) barrier = barrierAbove((bundle / "source").string(), group);
  if (!barrier) {
    mount["source"] = source.lexically_relative(bundle).string();
    return true;
  }
  BERTH_ASSIGN_OR_RETURN(const std::optional<std::string> hidden, mountBelow(source.string()));
  if (!hidden) return false;
  return absl::FailedPreconditionError(
      strCat("mount ", given, " on ", support::stringMember(mount, "destination"),
             " in a user namespace: ", runtime.name, " ", runtime.version, " would not show ",
             *hidden, " below it, because only some may pass ", *barrier,
             "; let others pass it, or use crun 1.9 or later, or runc"));
}

// crun binds a copy of the source's mount, which, unless told otherwise, has what is mounted in the
// container mounted at the source too.
bool keepMountsInside(json::object& mount, const std::vector<std::string>& options) {
  if (saysPropagation(options)) return false;
  support::arrayAt(mount, "options").emplace_back(contains(options, "rbind") ? "rslave" : "slave");
  return true;
}

}  // namespace

absl::StatusOr<bool> adaptBinds(json::object& document, const std::string& directory,
                                const RuntimeFeatures& runtime) {
  if (runtime.name != "crun" || !hasUserNamespace(document)) return false;
  bool changed = false;
  for (json::value& one : support::arrayAt(document, "mounts")) {
    if (!one.is_object()) continue;
    json::object& mount = one.get_object();
    const std::vector<std::string> options = support::stringsMember(mount, "options");
    const bool recursive = contains(options, "rbind");
    if (!recursive && !contains(options, "bind")) continue;
    changed = keepMountsInside(mount, options) || changed;
    if (!recursive || runtime.recursiveUserBinds) continue;
    BERTH_ASSIGN_OR_RETURN(const bool adapted,
                           bindWithWhatIsBelow(mount, directory, rootGroupOf(document), runtime));
    changed = adapted || changed;
  }
  return changed;
}

}  // namespace berth::runc
