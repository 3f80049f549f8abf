#include "cdi/document.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "berth/support/status.hpp"
#include "cdi/version.hpp"
#include "cdi/yaml.hpp"
#include "common/json_fields.hpp"

namespace berth::cdi {
namespace {

using common::JsonFields;
using support::strCat;

constexpr std::array<std::string_view, 6> kHookNames = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
constexpr size_t kLongestClosId = 4095;

void require(JsonFields& fields, std::string_view key, const std::string& value) {
  if (value.empty()) fields.wrong(key, "is missing");
}

void checkEnvironment(JsonFields& fields, const std::vector<std::string>& variables) {
  for (const std::string& variable : variables) {
    const size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos)
      fields.wrong("env", strCat("has \"", variable, "\", which is not NAME=value"));
  }
}

void readDeviceNode(JsonFields& fields, DeviceNode& node) {
  fields.text("path", node.path);
  fields.text("hostPath", node.hostPath);
  fields.text("type", node.type);
  fields.number("major", node.major);
  fields.number("minor", node.minor);
  fields.number("fileMode", node.fileMode);
  fields.text("permissions", node.permissions);
  fields.number("uid", node.uid);
  fields.number("gid", node.gid);
  require(fields, "path", node.path);
  if (!node.path.starts_with('/')) fields.wrong("path", "must be absolute");
  constexpr std::array<std::string_view, 5> kTypes = {"", "b", "c", "u", "p"};
  if (std::find(kTypes.begin(), kTypes.end(), node.type) == kTypes.end())
    fields.wrong("type", strCat("must be b, c, u or p, not \"", node.type, "\""));
  if (node.permissions != "none" && node.permissions.find_first_not_of("rwm") != std::string::npos)
    fields.wrong("permissions",
                 strCat("must be made of r, w and m, or be none, not \"", node.permissions, "\""));
}

void readMount(JsonFields& fields, Mount& mount) {
  fields.text("hostPath", mount.hostPath);
  fields.text("containerPath", mount.containerPath);
  fields.texts("options", mount.options);
  fields.text("type", mount.type);
  require(fields, "hostPath", mount.hostPath);
  require(fields, "containerPath", mount.containerPath);
  if (!mount.containerPath.starts_with('/')) fields.wrong("containerPath", "must be absolute");
}

void readHook(JsonFields& fields, Hook& hook) {
  fields.text("hookName", hook.name);
  fields.text("path", hook.path);
  fields.texts("args", hook.arguments);
  fields.texts("env", hook.environment);
  fields.number("timeout", hook.timeout);
  if (std::find(kHookNames.begin(), kHookNames.end(), hook.name) == kHookNames.end())
    fields.wrong("hookName", strCat("\"", hook.name, "\" is no hook of the OCI specification"));
  require(fields, "path", hook.path);
  if (!hook.path.starts_with('/')) fields.wrong("path", "must be absolute");
  if (hook.timeout && *hook.timeout <= 0) fields.wrong("timeout", "must be more than 0 seconds");
  checkEnvironment(fields, hook.environment);
}

void readNetDevice(JsonFields& fields, NetDevice& device) {
  fields.text("hostInterfaceName", device.hostName);
  fields.text("name", device.name);
  require(fields, "hostInterfaceName", device.hostName);
  require(fields, "name", device.name);
}

void readIntelRdt(JsonFields& fields, IntelRdt& rdt) {
  std::optional<bool> monitoring;
  fields.text("closID", rdt.closId);
  fields.text("l3CacheSchema", rdt.l3CacheSchema);
  fields.text("memBwSchema", rdt.memoryBandwidthSchema);
  fields.texts("schemata", rdt.schemata);
  fields.flag("enableMonitoring", monitoring);
  rdt.enableMonitoring = monitoring.value_or(false);
  // A directory of resctrl; "/" is its root.
  const std::string& id = rdt.closId;
  if (id != "/" && (id.size() > kLongestClosId || id == "." || id == ".." ||
                    id.find_first_of("/\n") != std::string::npos))
    fields.wrong("closID", strCat("\"", id, "\" is not the name of a file"));
}

void checkNetDevices(JsonFields& fields, const std::vector<NetDevice>& devices) {
  std::set<std::string> hostNames;
  std::set<std::string> names;
  for (const NetDevice& device : devices)
    if (!hostNames.insert(device.hostName).second || !names.insert(device.name).second)
      fields.wrong("netDevices", strCat("names ", device.hostName, " or ", device.name, " twice"));
}

void readEdits(JsonFields& fields, Edits& edits) {
  fields.texts("env", edits.environment);
  checkEnvironment(fields, edits.environment);
  fields.list("deviceNodes",
              [&](JsonFields& item) { readDeviceNode(item, edits.deviceNodes.emplace_back()); });
  fields.list("netDevices",
              [&](JsonFields& item) { readNetDevice(item, edits.netDevices.emplace_back()); });
  checkNetDevices(fields, edits.netDevices);
  fields.list("hooks", [&](JsonFields& item) { readHook(item, edits.hooks.emplace_back()); });
  fields.list("mounts", [&](JsonFields& item) { readMount(item, edits.mounts.emplace_back()); });
  fields.numbers("additionalGids", edits.additionalGids);
  fields.object("intelRdt",
                [&](JsonFields& item) { readIntelRdt(item, edits.intelRdt.emplace()); });
}

bool isEmpty(const Edits& edits) {
  return edits.environment.empty() && edits.deviceNodes.empty() && edits.netDevices.empty() &&
         edits.mounts.empty() && edits.hooks.empty() && edits.additionalGids.empty() &&
         !edits.intelRdt;
}

// Annotations of the file and its devices are for people and tools alone.
void skipAnnotations(JsonFields& fields, FeatureUse& use) {
  std::map<std::string, std::string> annotations;
  fields.textMap("annotations", annotations);
  use.annotations = use.annotations || !annotations.empty();
}

void readDevice(JsonFields& fields, Device& device, FeatureUse& use) {
  fields.text("name", device.name);
  if (const absl::Status name = checkDeviceName(device.name); !name.ok())
    fields.wrong("name", strCat("is wrong: ", support::fromAbsl(name.message())));
  skipAnnotations(fields, use);
  fields.object("containerEdits", [&](JsonFields& item) { readEdits(item, device.edits); });
  if (isEmpty(device.edits)) fields.wrong("containerEdits", "is missing or changes nothing");
}

void readDocument(JsonFields& fields, Document& document, FeatureUse& use) {
  fields.text("cdiVersion", document.version);
  fields.text("kind", document.kind);
  require(fields, "cdiVersion", document.version);
  require(fields, "kind", document.kind);
  if (!fields.ok()) return;
  if (const auto kind = parseKind(document.kind); !kind.ok())
    fields.wrong("kind", strCat("is wrong: ", support::fromAbsl(kind.status().message())));
  skipAnnotations(fields, use);
  std::set<std::string> names;
  fields.list("devices", [&](JsonFields& item) {
    Device& device = document.devices.emplace_back();
    readDevice(item, device, use);
    if (!names.insert(device.name).second)
      item.wrong("name", strCat("\"", device.name, "\" is given to two devices"));
  });
  if (document.devices.empty()) fields.wrong("devices", "is missing or empty");
  fields.object("containerEdits", [&](JsonFields& item) { readEdits(item, document.edits); });
}

}  // namespace

absl::StatusOr<Document> parseDocument(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const boost::json::value value, parseYaml(text, what));
  Document document;
  FeatureUse use;
  absl::Status status;
  {
    JsonFields fields(value, "", JsonFields::Texts::kLoose, status);
    readDocument(fields, document, use);
  }
  if (status.ok()) status = checkVersion(document, use);
  if (!status.ok()) return support::annotate(status, what);
  return document;
}

}  // namespace berth::cdi
