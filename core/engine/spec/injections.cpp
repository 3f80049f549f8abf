#include "engine/spec/injections.hpp"

#include <map>
#include <string>
#include <vector>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cdi/names.hpp"
#include "cdi/registry.hpp"
#include "hooks/registry.hpp"

namespace berth::spec {
namespace {

absl::Status addCdiDevices(const ContainerSpecInput& input, boost::json::object& spec) {
  std::vector<std::string> devices;
  for (const runtime::v1::CDIDevice& device : input.config.cdi_devices())
    devices.push_back(device.name());
  const auto& annotations = input.config.annotations();
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> annotated,
                         cdi::devicesOfAnnotations({annotations.begin(), annotations.end()}));
  devices.insert(devices.end(), annotated.begin(), annotated.end());
  if (devices.empty()) return absl::OkStatus();
  cdi::Registry none({});
  cdi::Registry& registry = input.cdi != nullptr ? *input.cdi : none;
  return registry.inject(
      devices,
      {.idmappedMounts = input.features.idmappedMounts, .netDevices = input.features.netDevices},
      spec);
}

absl::Status addHooks(const ContainerSpecInput& input, boost::json::object& spec) {
  if (input.hooks == nullptr) return absl::OkStatus();
  std::map<std::string, std::string> annotations(input.config.annotations().begin(),
                                                 input.config.annotations().end());
  // The pod's count where both have one.
  for (const auto& [key, value] : input.pod.annotations()) annotations[key] = value;
  const std::vector<std::string> arguments =
      support::stringsMember(support::objectAt(spec, "process"), "args");
  return input.hooks->inject({.annotations = annotations,
                              .command = arguments.empty() ? "" : arguments.front(),
                              .hasBindMounts = !input.config.mounts().empty()},
                             spec);
}

}  // namespace

absl::Status addInjections(const ContainerSpecInput& input, boost::json::object& spec) {
  BERTH_RETURN_IF_ERROR(addCdiDevices(input, spec));
  return addHooks(input, spec);
}

}  // namespace berth::spec
