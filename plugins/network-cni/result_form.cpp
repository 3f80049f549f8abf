#include "result_form.hpp"

#include <string_view>

#include "berth/support/json.hpp"

namespace berth::cni {
namespace {

namespace bj = boost::json;

enum class Form {
  kFamilies,  // until 0.2.0: "ip4" and "ip6", each with its routes
  kNumbered,  // until 0.4.0: a list of addresses, each of which names its family
  kList,      // since 1.0.0: the addresses alone
};

Form formOf(const Version& version) {
  if (version < Version{0, 3, 0}) return Form::kFamilies;
  return version < Version{1, 0, 0} ? Form::kNumbered : Form::kList;
}

bool isSix(const bj::object& item, std::string_view key) {
  return support::stringMember(item, key).find(':') != std::string::npos;
}

void copyMember(const bj::object& source, std::string_view from, std::string_view to,
                bj::object& target) {
  if (const bj::value* value = source.if_contains(from)) target[to] = *value;
}

// Each object of the list.
template <class Body>
void forEach(const bj::object& result, std::string_view list, Body body) {
  const bj::array* items = support::arrayMember(result, list);
  if (items == nullptr) return;
  for (const bj::value& item : *items)
    if (const bj::object* object = item.if_object()) body(*object);
}

bj::object fromFamilies(const bj::object& result) {
  bj::object lists;
  bj::array ips;
  bj::array routes;
  for (const std::string_view family : {"ip4", "ip6"}) {
    const bj::object* config = support::objectMember(result, family);
    if (config == nullptr) continue;
    bj::object& ip = ips.emplace_back(bj::object()).as_object();
    copyMember(*config, "ip", "address", ip);
    copyMember(*config, "gateway", "gateway", ip);
    forEach(*config, "routes", [&](const bj::object& route) { routes.push_back(route); });
  }
  lists["ips"] = std::move(ips);
  if (!routes.empty()) lists["routes"] = std::move(routes);
  copyMember(result, "dns", "dns", lists);
  return lists;
}

// The first address of each family: there is room for no other.
bj::object toFamilies(const bj::object& result) {
  bj::object families;
  copyMember(result, "dns", "dns", families);
  for (const bool six : {false, true}) {
    bj::object config;
    forEach(result, "ips", [&](const bj::object& ip) {
      if (isSix(ip, "address") != six || config.contains("ip")) return;
      copyMember(ip, "address", "ip", config);
      copyMember(ip, "gateway", "gateway", config);
    });
    if (!config.contains("ip")) continue;
    bj::array routes;
    forEach(result, "routes", [&](const bj::object& route) {
      if (isSix(route, "dst") == six) routes.push_back(route);
    });
    if (!routes.empty()) config["routes"] = std::move(routes);
    families[six ? "ip6" : "ip4"] = std::move(config);
  }
  return families;
}

void numberAddresses(bj::object& result, Form form) {
  bj::value* const ips = result.if_contains("ips");
  if (ips == nullptr || !ips->is_array()) return;
  for (bj::value& item : ips->get_array()) {
    bj::object* const ip = item.if_object();
    if (ip == nullptr) continue;
    if (form == Form::kNumbered) {
      (*ip)["version"] = isSix(*ip, "address") ? "6" : "4";
    } else {
      ip->erase("version");
    }
  }
}

}  // namespace

bj::object inVersion(bj::object result, const Version& from, const Version& to) {
  const Form given = formOf(from);
  const Form wanted = formOf(to);
  if (given != wanted) {
    if (given == Form::kFamilies) result = fromFamilies(result);
    if (wanted == Form::kFamilies) {
      result = toFamilies(result);
    } else {
      numberAddresses(result, wanted);
    }
  }
  result["cniVersion"] = to.text();
  return result;
}

}  // namespace berth::cni
