#include <algorithm>
#include <array>

#include "berth/support/status.hpp"
#include "engine/spec/mounts.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

using runtime::v1::Mount;

constexpr std::array<std::string_view, 10> kMountOptions = {
    "exec",  "noexec",   "suid",    "nosuid",     "dev",
    "nodev", "relatime", "noatime", "nodiratime", "nosymfollow"};

std::string describe(const Mount& mount) {
  return support::strCat("mount of ", mount.host_path(), " on ", mount.container_path());
}

absl::Status invalid(const Mount& mount, std::string_view problem) {
  return absl::InvalidArgumentError(support::strCat(describe(mount), ": ", problem));
}

// Whether the source shows mounts of this engine, which the container would keep alive for as long
// as it runs itself if it did not see them go.
bool showsOwnMounts(const Mount& mount, const MountSource& source, const MountInput& input) {
  return !mount.recursive_read_only() &&
         std::any_of(input.ownDirectories.begin(), input.ownDirectories.end(),
                     [&](const std::string& own) { return liesBelow(own, source.path); });
}

absl::StatusOr<std::string> privatePropagation(const Mount& mount, const MountSource& source,
                                               const MountInput& input, MountPlan& plan) {
  if (!showsOwnMounts(mount, source, input)) return std::string("rprivate");
  BERTH_ASSIGN_OR_RETURN(const MountTable table, input.mountTable());
  const MountEntry* entry = table.covering(source.path);
  if (entry == nullptr || (!entry->shared && !entry->slave)) return std::string("rprivate");
  if (plan.rootfsPropagation.empty()) plan.rootfsPropagation = "rslave";
  return std::string("rslave");
}

absl::StatusOr<std::string> propagation(const Mount& mount, const MountSource& source,
                                        const MountInput& input, MountPlan& plan) {
  switch (mount.propagation()) {
    case runtime::v1::PROPAGATION_PRIVATE:
      return privatePropagation(mount, source, input, plan);
    case runtime::v1::PROPAGATION_HOST_TO_CONTAINER:
    case runtime::v1::PROPAGATION_BIDIRECTIONAL:
      break;
    default:
      return invalid(mount, support::strCat("propagation ", static_cast<int>(mount.propagation()),
                                            " is unknown"));
  }
  BERTH_ASSIGN_OR_RETURN(const MountTable table, input.mountTable());
  const MountEntry* entry = table.covering(source.existing);
  const std::string point = entry != nullptr ? entry->point : "/";
  if (mount.propagation() == runtime::v1::PROPAGATION_BIDIRECTIONAL) {
    if (entry == nullptr || !entry->shared)
      return absl::FailedPreconditionError(
          support::strCat("path \"", source.path, "\" is mounted on \"", point,
                          "\" but it is not a shared mount, which bidirectional propagation needs: "
                          "mount --make-rshared ",
                          point));
    plan.rootfsPropagation = "rshared";
    return std::string("rshared");
  }
  if (entry == nullptr || (!entry->shared && !entry->slave))
    return absl::FailedPreconditionError(support::strCat(
        "path \"", source.path, "\" is mounted on \"", point,
        "\" but it is not a shared or slave mount, which propagation from the host needs: "
        "mount --make-rshared ",
        point));
  if (plan.rootfsPropagation.empty()) plan.rootfsPropagation = "rslave";
  return std::string("rslave");
}

// "rw", "ro" or "rro".
absl::StatusOr<std::string> access(const Mount& mount, const MountInput& input) {
  const bool readOnly = mount.readonly() || !mount.image().image().empty();
  if (!mount.recursive_read_only()) return std::string(readOnly ? "ro" : "rw");
  if (!readOnly) return invalid(mount, "recursive_read_only contradicts readonly being false");
  if (mount.propagation() != runtime::v1::PROPAGATION_PRIVATE)
    return invalid(mount, support::strCat("recursive_read_only needs private propagation, not ",
                                          runtime::v1::MountPropagation_Name(mount.propagation())));
  // The kubelet looks for the word before the colon.
  if (!input.features.recursiveReadOnly)
    return absl::FailedPreconditionError(
        support::strCat("RROUnsupported: ", describe(mount),
                        ": this runtime handler has no recursive read-only mounts"));
  return std::string("rro");
}

boost::json::array mappings(
    const google::protobuf::RepeatedPtrField<runtime::v1::IDMapping>& list) {
  boost::json::array array;
  for (const runtime::v1::IDMapping& mapping : list)
    array.push_back({{"containerID", mapping.container_id()},
                     {"hostID", mapping.host_id()},
                     {"size", mapping.length()}});
  return array;
}

support::IdRanges ranges(const google::protobuf::RepeatedPtrField<runtime::v1::IDMapping>& list) {
  support::IdRanges result;
  for (const runtime::v1::IDMapping& mapping : list)
    result.push_back({mapping.container_id(), mapping.host_id(), mapping.length()});
  return result;
}

// The runtime maps the ids where it can; else what it mounts is a mapped copy of the source.
absl::Status addMappings(const Mount& mount, const MountInput& input, std::string_view spread,
                         boost::json::object& json, MountPlan& plan) {
  // An image is mounted with mapped ids from the beginning.
  if (!mount.image().image().empty()) return absl::OkStatus();
  if (mount.uidmappings().empty() && mount.gidmappings().empty()) return absl::OkStatus();
  if (mount.uidmappings().empty() || mount.gidmappings().empty())
    return invalid(mount, "uidMappings and gidMappings must be given together");
  for (const auto* list : {&mount.uidmappings(), &mount.gidmappings()})
    for (const runtime::v1::IDMapping& mapping : *list)
      if (mapping.length() == 0) return invalid(mount, "a mapping has the length 0");
  if (input.features.idmappedMounts) {
    json["uidMappings"] = mappings(mount.uidmappings());
    json["gidMappings"] = mappings(mount.gidmappings());
    return absl::OkStatus();
  }
  if (!input.host.idmappedMounts || input.mappedMounts.empty())
    return absl::FailedPreconditionError(
        support::strCat(describe(mount), ": neither this kernel nor this runtime handler has ",
                        "ID-mapped mounts, which its uidMappings and gidMappings need"));
  MappedMount mapped{.source = std::string(json.at("source").as_string()),
                     .target = support::strCat(input.mappedMounts, "/", plan.mapped.size()),
                     .uids = ranges(mount.uidmappings()),
                     .gids = ranges(mount.gidmappings()),
                     .propagates = spread != "rprivate"};
  json["source"] = boost::json::string(mapped.target);
  plan.mapped.push_back(std::move(mapped));
  return absl::OkStatus();
}

absl::Status addOptions(const Mount& mount, boost::json::array& options) {
  for (const std::string& option : mount.mount_options()) {
    if (std::find(kMountOptions.begin(), kMountOptions.end(), option) == kMountOptions.end())
      return invalid(mount, support::strCat("the mount option \"", option, "\" is not supported"));
    options.emplace_back(option);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status checkPaths(const Mount& mount) {
  BERTH_RETURN_IF_ERROR(checkText(mount.container_path(), "container_path of a mount"));
  BERTH_RETURN_IF_ERROR(checkText(mount.host_path(), "host_path of a mount"));
  if (!mount.container_path().starts_with('/'))
    return invalid(mount, "container_path must be absolute");
  if (cleanPath(mount.container_path()) == "/")
    return invalid(mount, "container_path must not be the root itself");
  if (mount.host_path().empty())
    return invalid(mount, mount.image().image().empty()
                              ? "host_path is empty"
                              : "the image to be mounted has not been made available");
  if (!mount.host_path().starts_with('/')) return invalid(mount, "host_path must be absolute");
  return absl::OkStatus();
}

absl::Status addBindMount(const Mount& mount, const absl::StatusOr<MountSource>& found,
                          const MountInput& input, MountPlan& plan) {
  BERTH_ASSIGN_OR_RETURN(const std::string mode, access(mount, input));
  if (!found.ok()) return support::annotate(found.status(), describe(mount));
  const MountSource& source = *found;
  // It cannot be made a directory.
  if (source.dangling)
    return invalid(mount, support::strCat(source.path, " is a symbolic link to nowhere"));
  BERTH_ASSIGN_OR_RETURN(const std::string spread, propagation(mount, source, input, plan));

  boost::json::array options = {"rbind", spread, mode};
  BERTH_RETURN_IF_ERROR(addOptions(mount, options));
  boost::json::object json{{"destination", cleanPath(mount.container_path())},
                           {"type", "bind"},
                           {"source", source.path},
                           {"options", std::move(options)}};
  BERTH_RETURN_IF_ERROR(addMappings(mount, input, spread, json, plan));

  if (source.missing()) plan.missingDirectories.push_back(source.path);
  // An image is mounted with its label.
  if (mount.selinux_relabel() && !input.mountLabel.empty() && mount.image().image().empty())
    plan.relabels.push_back({.path = source.path, .label = input.mountLabel});
  plan.mounts.emplace_back(std::move(json));
  return absl::OkStatus();
}

}  // namespace berth::spec
