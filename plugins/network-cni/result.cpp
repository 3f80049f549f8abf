#include "result.hpp"

#include "berth/support/address.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "result_form.hpp"

namespace berth::cni {
namespace {

namespace bj = boost::json;
using support::strCat;

void addAddress(const std::string& cidr, std::vector<std::string>& out) {
  std::string address = cidr.substr(0, cidr.find('/'));
  if (support::isAddress(address)) out.push_back(std::move(address));
}

// Versions 0.1.0 and 0.2.0: at most one address of each family.
std::vector<std::string> oldAddresses(const bj::object& result) {
  std::vector<std::string> addresses;
  for (const std::string_view family : {"ip4", "ip6"}) {
    const bj::object* config = support::objectMember(result, family);
    if (config != nullptr) addAddress(support::stringMember(*config, "ip"), addresses);
  }
  return addresses;
}

enum class Place { kWanted, kOtherOfPod, kHost };

// Which side an address is on. Plugins that name no interface mean the one they were asked for.
Place placeOf(const bj::object& ip, const bj::array* interfaces, std::string_view wanted) {
  constexpr int64_t kNone = -1;
  const int64_t index = support::intMember(ip, "interface", kNone);
  if (interfaces == nullptr || index < 0 || static_cast<size_t>(index) >= interfaces->size())
    return Place::kWanted;
  const bj::object* interface = (*interfaces)[static_cast<size_t>(index)].if_object();
  if (interface == nullptr) return Place::kWanted;
  if (support::stringMember(*interface, "sandbox").empty()) return Place::kHost;
  return support::stringMember(*interface, "name") == wanted ? Place::kWanted : Place::kOtherOfPod;
}

}  // namespace

absl::StatusOr<bj::object> parseResult(std::string_view text, const std::string& what,
                                       const Version& spoken) {
  BERTH_ASSIGN_OR_RETURN(bj::object result, support::parseJsonObject(text, what));
  const std::string own = support::stringMember(result, "cniVersion");
  if (own.empty()) return inVersion(std::move(result), spoken, spoken);
  const auto version = parseVersion(own);
  if (!version.ok())
    return absl::InvalidArgumentError(strCat(what, ": cniVersion: ", version.status().message()));
  return inVersion(std::move(result), *version, spoken);
}

std::vector<std::string> addressesOf(const bj::object& result, std::string_view interface) {
  const bj::array* ips = support::arrayMember(result, "ips");
  if (ips == nullptr) return oldAddresses(result);
  const bj::array* interfaces = support::arrayMember(result, "interfaces");
  std::vector<std::string> addresses;
  std::vector<std::string> others;
  for (const bj::value& item : *ips) {
    const bj::object* ip = item.if_object();
    if (ip == nullptr) continue;
    const Place place = placeOf(*ip, interfaces, interface);
    if (place == Place::kHost) continue;
    addAddress(support::stringMember(*ip, "address"), place == Place::kWanted ? addresses : others);
  }
  addresses.insert(addresses.end(), others.begin(), others.end());
  return addresses;
}

}  // namespace berth::cni
