#include "bundle.hpp"

#include <algorithm>
#include <cstdint>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "user_namespace_binds.hpp"

namespace berth::runc {

namespace json = boost::json;
using support::strCat;

namespace {

uint16_t consoleSide(const json::object& size, std::string_view key) {
  return static_cast<uint16_t>(std::clamp<int64_t>(support::intMember(size, key), 0, UINT16_MAX));
}

// crun would make a cgroup "container" below the container's scope and put the processes there,
// beside the limits that are changed and the counts that are read later (crun(1)). Whether
// `document` was changed.
bool forbidSubgroup(json::object& document, CgroupDriver driver) {
  constexpr std::string_view kSubgroup = "run.oci.systemd.subgroup";
  if (driver != CgroupDriver::kSystemd) return false;
  json::object& annotations = support::objectAt(document, "annotations");
  return annotations.emplace(json::string_view(kSubgroup.data(), kSubgroup.size()), "").second;
}

}  // namespace

absl::StatusOr<BundleFacts> readBundle(const BundleRequest& request) {
  const PodRecord& pod = request.pod;
  BERTH_ASSIGN_OR_RETURN(json::object document,
                         support::parseJsonObject(request.spec, "the OCI spec"));
  BundleFacts facts;
  const json::object* process = support::objectMember(document, "process");
  if (process == nullptr) return absl::InvalidArgumentError("the OCI spec has no \"process\"");
  facts.terminal = support::boolMember(*process, "terminal");
  if (const json::object* size = support::objectMember(*process, "consoleSize")) {
    facts.consoleWidth = consoleSide(*size, "width");
    facts.consoleHeight = consoleSide(*size, "height");
  }
  json::object& parts = support::objectAt(document, "linux");
  const std::string given = support::stringMember(parts, "cgroupsPath");
  std::string path = given;
  if (path.empty()) {
    path = defaultCgroupsPath(pod.cgroupParent, request.container, pod.driver);
  } else if (pod.driver == CgroupDriver::kCgroupfs && path.front() != '/') {
    path = strCat("/", path);
  }
  BERTH_ASSIGN_OR_RETURN(facts.cgroup, containerCgroup(path, pod.driver));
  parts["cgroupsPath"] = path;
  const bool subgroup = forbidSubgroup(document, pod.driver);
  BERTH_ASSIGN_OR_RETURN(const bool binds,
                         adaptBinds(document, std::string(request.directory), request.runtime));
  if (subgroup || binds || path != given) facts.corrected = json::serialize(document);
  return facts;
}

}  // namespace berth::runc
