#include "cdi/version.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "berth/support/status.hpp"

namespace berth::cdi {
namespace {

using support::strCat;

// In ascending order. The specification itself counts 0.3.0 as its first usable version.
constexpr std::array<std::string_view, 8> kVersions = {"0.3.0", "0.4.0", "0.5.0", "0.6.0",
                                                       "0.7.0", "0.8.0", "1.0.0", "1.1.0"};

size_t rank(std::string_view version) {
  return static_cast<size_t>(std::find(kVersions.begin(), kVersions.end(), version) -
                             kVersions.begin());
}

template <class Matches>
bool anyEdits(const Document& document, Matches matches) {
  return matches(document.edits) ||
         std::any_of(document.devices.begin(), document.devices.end(),
                     [&](const Device& device) { return matches(device.edits); });
}

bool hasMountType(const Edits& edits) {
  return std::any_of(edits.mounts.begin(), edits.mounts.end(),
                     [](const Mount& mount) { return !mount.type.empty(); });
}

bool hasHostPath(const Edits& edits) {
  return std::any_of(edits.deviceNodes.begin(), edits.deviceNodes.end(),
                     [](const DeviceNode& node) { return !node.hostPath.empty(); });
}

bool hasRdtOrGroups(const Edits& edits) {
  return edits.intelRdt.has_value() || !edits.additionalGids.empty();
}

bool hasNetDevicesOrSchemata(const Edits& edits) {
  return !edits.netDevices.empty() || (edits.intelRdt && (!edits.intelRdt->schemata.empty() ||
                                                          edits.intelRdt->enableMonitoring));
}

bool hasNumericName(const Document& document) {
  return std::any_of(document.devices.begin(), document.devices.end(), [](const Device& device) {
    return device.name.front() >= '0' && device.name.front() <= '9';
  });
}

struct Need {
  std::string_view version;
  std::string_view what;
};

// The highest version that something in the file needs.
Need highestNeed(const Document& document, const FeatureUse& use) {
  if (anyEdits(document, hasNetDevicesOrSchemata))
    return {"1.1.0", "netDevices, or schemata or enableMonitoring of intelRdt"};
  if (anyEdits(document, hasRdtOrGroups)) return {"0.7.0", "intelRdt or additionalGids"};
  if (use.annotations) return {"0.6.0", "annotations"};
  if (document.kind.find('.', document.kind.find('/')) != std::string::npos)
    return {"0.6.0", "a class with a dot"};
  if (hasNumericName(document)) return {"0.5.0", "a device name that begins with a digit"};
  if (anyEdits(document, hasHostPath)) return {"0.5.0", "hostPath of a device node"};
  if (anyEdits(document, hasMountType)) return {"0.4.0", "type of a mount"};
  return {kVersions.front(), ""};
}

}  // namespace

absl::Status checkVersion(const Document& document, const FeatureUse& use) {
  std::string_view version = document.version;
  if (version.starts_with('v')) version.remove_prefix(1);
  const size_t given = rank(version);
  if (given == kVersions.size())
    return absl::InvalidArgumentError(strCat("cdiVersion \"", document.version,
                                             "\" is not supported: versions ", kVersions.front(),
                                             " to ", kVersions.back(), " are"));
  const Need need = highestNeed(document, use);
  if (given >= rank(need.version)) return absl::OkStatus();
  return absl::InvalidArgumentError(strCat("cdiVersion is ", document.version, ", but ", need.what,
                                           " needs at least ", need.version));
}

}  // namespace berth::cdi
