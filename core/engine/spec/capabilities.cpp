#include "engine/spec/capabilities.hpp"

#include "berth/support/status.hpp"
#include "common/capability_names.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

struct Selection {
  bool all = false;
  uint64_t mask = 0;
};

template <class Names>
absl::StatusOr<Selection> select(const Names& names, std::string_view verb) {
  Selection selection;
  for (const std::string& name : names) {
    if (common::equalIgnoringCase(name, "ALL") || common::equalIgnoringCase(name, "CAP_ALL")) {
      selection.all = true;
      continue;
    }
    const std::optional<int> number = common::capabilityNumber(name);
    if (!number)
      return absl::InvalidArgumentError(
          support::strCat("unknown capability \"", name, "\" to ", verb));
    selection.mask |= common::capabilityBit(*number);
  }
  return selection;
}

}  // namespace

absl::StatusOr<CapabilitySets> resolveCapabilities(const runtime::v1::Capability& request,
                                                   const std::vector<std::string>& defaults,
                                                   uint64_t available, Privilege privilege,
                                                   Warnings& warnings) {
  BERTH_ASSIGN_OR_RETURN(const Selection base, select(defaults, "give by default"));
  BERTH_ASSIGN_OR_RETURN(const Selection add, select(request.add_capabilities(), "add"));
  BERTH_ASSIGN_OR_RETURN(const Selection drop, select(request.drop_capabilities(), "drop"));
  BERTH_ASSIGN_OR_RETURN(const Selection ambient,
                         select(request.add_ambient_capabilities(), "add as ambient"));
  if (ambient.all)
    return absl::InvalidArgumentError(
        "\"ALL\" cannot be added as an ambient capability: name each one");
  if (privilege == Privilege::kPrivileged)
    return CapabilitySets{.granted = available, .ambient = ambient.mask & available};

  CapabilitySets sets;
  sets.granted = base.all || add.all ? available : base.mask;
  if (drop.all) sets.granted = 0;
  sets.granted |= add.mask | ambient.mask;
  sets.granted &= ~drop.mask;

  const uint64_t lacking = (add.mask | ambient.mask) & sets.granted & ~available;
  for (const std::string& name : common::capabilityNames(lacking))
    warnings.push_back({support::strCat(
        name, " is asked for, but this daemon does not have it to give: left out")});
  sets.granted &= available;
  sets.ambient = ambient.mask & sets.granted;
  return sets;
}

boost::json::object capabilitiesJson(const CapabilitySets& sets) {
  const boost::json::array granted = jsonTexts(common::capabilityNames(sets.granted));
  boost::json::object json{{"bounding", granted}, {"effective", granted}, {"permitted", granted}};
  if (sets.ambient != 0) {
    json["inheritable"] = jsonTexts(common::capabilityNames(sets.ambient));
    json["ambient"] = json["inheritable"];
  }
  return json;
}

}  // namespace berth::spec
