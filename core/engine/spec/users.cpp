#include "engine/spec/users.hpp"

#include <limits.h>
#include <limits>
#include <optional>
#include <set>

#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::spec {
namespace {

using runtime::v1::LinuxContainerSecurityContext;

// The kernel takes more, but the OCI runtimes do not.
constexpr int64_t kMaximumId = std::numeric_limits<int32_t>::max();

constexpr size_t kMostGroups = NGROUPS_MAX;

bool isNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

absl::StatusOr<uint32_t> checkedId(std::string_view text, std::string_view kind,
                                   std::string_view user) {
  const auto value = common::parseNumber<int64_t>(text);
  if (!value || *value < 0 || *value > kMaximumId)
    return absl::InvalidArgumentError(support::strCat("invalid user \"", user, "\": ", kind, " ",
                                                      text, " is out of range, which is 0 to ",
                                                      kMaximumId));
  return static_cast<uint32_t>(*value);
}

// The user in the image specification's form, from the first of the sources that names one.
absl::StatusOr<std::string> userText(const LinuxContainerSecurityContext& security,
                                     std::string_view imageUser) {
  std::string user = security.run_as_username();
  if (user.empty() && security.has_run_as_user())
    user = support::strCat(security.run_as_user().value());
  if (!security.has_run_as_group()) return user.empty() ? std::string(imageUser) : user;
  const int64_t group = security.run_as_group().value();
  if (user.empty())
    return absl::InvalidArgumentError(
        support::strCat("user group \"", group,
                        "\" is specified without user: set run_as_user or run_as_username too"));
  return support::strCat(user, ":", group);
}

struct Resolution {
  ResolvedUser user;
  std::string name;  // in the image's group file; empty when it has no such user
};

absl::StatusOr<Resolution> resolveName(std::string_view name, std::string_view user,
                                       const UserDatabase& database) {
  if (isNumber(name)) {
    BERTH_ASSIGN_OR_RETURN(const uint32_t uid, checkedId(name, "uid", user));
    const std::optional<PasswdEntry> entry = database.userWithId(uid);
    // Without an entry the group is root's, as for Docker and all that follow it.
    return Resolution{.user = {.uid = uid, .gid = entry ? entry->gid : 0, .groups = {}},
                      .name = std::string(entry ? entry->name : "")};
  }
  const std::optional<PasswdEntry> entry = database.userNamed(name);
  if (!entry)
    return absl::InvalidArgumentError(support::strCat(
        "unable to find user ", name, ": no matching entries in the image's /etc/passwd"));
  return Resolution{.user = {.uid = entry->uid, .gid = entry->gid, .groups = {}},
                    .name = std::string(entry->name)};
}

absl::StatusOr<uint32_t> resolveGroup(std::string_view group, std::string_view user,
                                      const UserDatabase& database) {
  if (isNumber(group)) return checkedId(group, "gid", user);
  const std::optional<uint32_t> gid = database.groupNamed(group);
  if (!gid)
    return absl::InvalidArgumentError(support::strCat(
        "unable to find group ", group, ": no matching entries in the image's /etc/group"));
  return *gid;
}

absl::Status addGroups(const LinuxContainerSecurityContext& security, const Resolution& resolved,
                       const UserDatabase& database, std::set<uint32_t>& groups) {
  switch (security.supplemental_groups_policy()) {
    case runtime::v1::Merge:
      if (!resolved.name.empty())
        for (uint32_t gid : database.groupsOf(resolved.name)) groups.insert(gid);
      break;
    case runtime::v1::Strict:
      break;
    default:
      return absl::InvalidArgumentError(
          support::strCat("supplemental_groups_policy ",
                          static_cast<int>(security.supplemental_groups_policy()), " is unknown"));
  }
  for (int64_t gid : security.supplemental_groups()) {
    if (gid < 0 || gid > kMaximumId)
      return absl::InvalidArgumentError(support::strCat(
          "supplemental group ", gid, " is out of range, which is 0 to ", kMaximumId));
    groups.insert(static_cast<uint32_t>(gid));
  }
  if (groups.size() > kMostGroups)
    return absl::InvalidArgumentError(support::strCat("the user is in ", groups.size(),
                                                      " groups, most by the image's "
                                                      "/etc/group; a process can be in ",
                                                      kMostGroups));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ResolvedUser> resolveUser(const LinuxContainerSecurityContext& security,
                                         std::string_view imageUser, const UserDatabase& database) {
  BERTH_ASSIGN_OR_RETURN(std::string user, userText(security, imageUser));
  if (user.empty()) user.push_back('0');
  const size_t colon = user.find(':');
  const std::string_view name = std::string_view(user).substr(0, colon);
  if (name.empty() ||
      user.find(':', colon == std::string::npos ? colon : colon + 1) != std::string::npos)
    return absl::InvalidArgumentError(
        support::strCat("invalid user \"", user, "\": expected user, user:group, uid or uid:gid"));

  BERTH_ASSIGN_OR_RETURN(Resolution resolved, resolveName(name, user, database));
  if (colon != std::string::npos && colon + 1 < user.size()) {
    BERTH_ASSIGN_OR_RETURN(resolved.user.gid,
                           resolveGroup(std::string_view(user).substr(colon + 1), user, database));
  }
  // The primary group is among the supplementary ones, as after a login: a process could otherwise
  // drop out of a group that a file denies something.
  std::set<uint32_t> groups = {resolved.user.gid};
  BERTH_RETURN_IF_ERROR(addGroups(security, resolved, database, groups));
  resolved.user.groups.assign(groups.begin(), groups.end());
  return std::move(resolved.user);
}

boost::json::object userJson(const ResolvedUser& user) {
  boost::json::array groups;
  for (uint32_t gid : user.groups) groups.emplace_back(gid);
  return {{"uid", user.uid}, {"gid", user.gid}, {"additionalGids", std::move(groups)}};
}

runtime::v1::LinuxContainerUser criUser(const ResolvedUser& user) {
  runtime::v1::LinuxContainerUser message;
  message.set_uid(user.uid);
  message.set_gid(user.gid);
  for (uint32_t gid : user.groups) message.add_supplemental_groups(gid);
  return message;
}

}  // namespace berth::spec
