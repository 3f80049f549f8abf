#include "cdi/apply.hpp"

#include <algorithm>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cdi/host_device.hpp"

namespace berth::cdi {
namespace {

namespace bj = boost::json;
using support::arrayAt;
using support::jsonTexts;
using support::objectAt;
using support::strCat;

// Removes the elements of which `key` has this value.
void removeWhere(bj::array& array, std::string_view key, std::string_view value) {
  const auto last = std::remove_if(array.begin(), array.end(), [&](const bj::value& element) {
    return element.is_object() && support::stringMember(element.get_object(), key) == value;
  });
  array.erase(last, array.end());
}

void addEnvironment(const Edits& edits, bj::object& spec) {
  if (edits.environment.empty()) return;
  bj::array& environment = arrayAt(objectAt(spec, "process"), "env");
  for (const std::string& variable : edits.environment) {
    const std::string prefix = variable.substr(0, variable.find('=') + 1);
    const auto known =
        std::find_if(environment.begin(), environment.end(), [&](const bj::value& one) {
          const bj::string* text = one.if_string();
          return text != nullptr && text->starts_with(prefix);
        });
    if (known != environment.end())
      *known = bj::string(variable);
    else
      environment.emplace_back(variable);
  }
}

// A device belongs to who runs in the container, unless the file says otherwise.
void addOwner(const char* key, const std::optional<uint32_t>& given, const bj::object& spec,
              bj::object& device) {
  if (given) {
    device[key] = *given;
    return;
  }
  const bj::object* process = support::objectMember(spec, "process");
  const bj::object* user = process != nullptr ? support::objectMember(*process, "user") : nullptr;
  const int64_t id = user != nullptr ? support::intMember(*user, key) : 0;
  if (id > 0) device[key] = id;
}

absl::Status addDeviceNodes(const Edits& edits, bj::object& spec) {
  for (const DeviceNode& node : edits.deviceNodes) {
    BERTH_ASSIGN_OR_RETURN(const HostDevice host, resolveDevice(node));
    bj::object device{{"path", node.path}, {"type", host.type}};
    if (host.type != "p") {
      device["major"] = host.major;
      device["minor"] = host.minor;
    }
    if (host.fileMode) device["fileMode"] = *host.fileMode;
    addOwner("uid", node.uid, spec, device);
    addOwner("gid", node.gid, spec, device);

    bj::object& linux = objectAt(spec, "linux");
    bj::array& devices = arrayAt(linux, "devices");
    removeWhere(devices, "path", node.path);
    devices.emplace_back(std::move(device));
    if (host.type != "b" && host.type != "c") continue;
    const std::string access = node.permissions.empty()     ? "rwm"
                               : node.permissions == "none" ? ""
                                                            : node.permissions;
    arrayAt(objectAt(linux, "resources"), "devices")
        .push_back({{"allow", true},
                    {"type", host.type},
                    {"major", host.major},
                    {"minor", host.minor},
                    {"access", access}});
  }
  return absl::OkStatus();
}

absl::Status addNetDevices(const Edits& edits, const RuntimeSupport& support, bj::object& spec) {
  if (edits.netDevices.empty()) return absl::OkStatus();
  if (!support.netDevices)
    return absl::FailedPreconditionError(
        strCat("the network device ", edits.netDevices.front().hostName,
               " cannot be moved into the container: this runtime handler has no netDevices"));
  bj::object& devices = objectAt(objectAt(spec, "linux"), "netDevices");
  for (const NetDevice& device : edits.netDevices)
    devices[device.hostName] = bj::object{{"name", device.name}};
  return absl::OkStatus();
}

bool isBind(const Mount& mount) {
  return mount.type == "bind" ||
         std::any_of(mount.options.begin(), mount.options.end(), [](const std::string& option) {
           return option == "bind" || option == "rbind";
         });
}

int64_t depthOf(const bj::value& mount) {
  const std::string path = support::stringMember(mount.get_object(), "destination");
  return std::count(path.begin(), path.end(), '/') - (path.ends_with('/') ? 1 : 0);
}

void addMounts(const Edits& edits, const RuntimeSupport& support, bj::object& spec) {
  if (edits.mounts.empty()) return;
  const bj::object linux = objectAt(spec, "linux");
  bj::array& mounts = arrayAt(spec, "mounts");
  for (const Mount& mount : edits.mounts) {
    bj::object json{{"destination", mount.containerPath}, {"source", mount.hostPath}};
    if (!mount.type.empty()) json["type"] = bj::string(mount.type);
    if (!mount.options.empty()) json["options"] = jsonTexts(mount.options);
    if (isBind(mount) && support.idmappedMounts && linux.contains("uidMappings")) {
      json["uidMappings"] = linux.at("uidMappings");
      json["gidMappings"] = linux.at("gidMappings");
    }
    removeWhere(mounts, "destination", mount.containerPath);
    mounts.emplace_back(std::move(json));
  }
  // A parent that came later would hide what is mounted below it.
  std::stable_sort(mounts.begin(), mounts.end(), [](const bj::value& left, const bj::value& right) {
    return depthOf(left) < depthOf(right);
  });
}

void addHooks(const Edits& edits, bj::object& spec) {
  for (const Hook& hook : edits.hooks) {
    bj::object json{{"path", hook.path}};
    if (!hook.arguments.empty()) json["args"] = jsonTexts(hook.arguments);
    if (!hook.environment.empty()) json["env"] = jsonTexts(hook.environment);
    if (hook.timeout) json["timeout"] = *hook.timeout;
    arrayAt(objectAt(spec, "hooks"), hook.name).emplace_back(std::move(json));
  }
}

void addIntelRdt(const Edits& edits, bj::object& spec) {
  if (!edits.intelRdt) return;
  const IntelRdt& rdt = *edits.intelRdt;
  bj::object json;
  if (!rdt.closId.empty()) json["closID"] = bj::string(rdt.closId);
  if (!rdt.l3CacheSchema.empty()) json["l3CacheSchema"] = bj::string(rdt.l3CacheSchema);
  if (!rdt.memoryBandwidthSchema.empty())
    json["memBwSchema"] = bj::string(rdt.memoryBandwidthSchema);
  if (!rdt.schemata.empty()) json["schemata"] = jsonTexts(rdt.schemata);
  if (rdt.enableMonitoring) json["enableMonitoring"] = true;
  objectAt(spec, "linux")["intelRdt"] = std::move(json);
}

void addGroups(const Edits& edits, bj::object& spec) {
  for (const uint32_t gid : edits.additionalGids) {
    // Root's own group is none that a file may hand out.
    if (gid == 0) continue;
    bj::array& groups = arrayAt(objectAt(objectAt(spec, "process"), "user"), "additionalGids");
    const bool known = std::any_of(groups.begin(), groups.end(), [&](const bj::value& one) {
      return one.is_number() && one.to_number<int64_t>() == gid;
    });
    if (!known) groups.emplace_back(gid);
  }
}

}  // namespace

absl::Status applyEdits(const Edits& edits, const RuntimeSupport& support, bj::object& spec) {
  addEnvironment(edits, spec);
  BERTH_RETURN_IF_ERROR(addDeviceNodes(edits, spec));
  BERTH_RETURN_IF_ERROR(addNetDevices(edits, support, spec));
  addMounts(edits, support, spec);
  addHooks(edits, spec);
  addIntelRdt(edits, spec);
  addGroups(edits, spec);
  return absl::OkStatus();
}

}  // namespace berth::cdi
