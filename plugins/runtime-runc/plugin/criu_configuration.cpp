#include "criu_configuration.hpp"

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

namespace {

constexpr char kAnnotation[] = "org.criu.config";
constexpr char kDefaultFile[] = "/etc/criu/runc.conf";

absl::StatusOr<std::string> readConfiguration(const std::string& path) {
  auto text = support::readFile(path);
  if (absl::IsNotFound(text.status()) && path == kDefaultFile) return std::string();
  return text;
}

}  // namespace

absl::Status tellCriuItsCgroup(const ContainerRecord& container, const std::string& work) {
  const std::string bundleFile = container.bundle + "/config.json";
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(bundleFile));
  BERTH_ASSIGN_OR_RETURN(boost::json::object bundle, support::parseJsonObject(text, bundleFile));
  boost::json::object& annotations = support::objectAt(bundle, "annotations");
  const std::string ours = work + "/criu.conf";
  const std::string given = support::stringMember(annotations, kAnnotation, kDefaultFile);
  // A restore that failed is repeated with the same bundle.
  if (given == ours) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const std::string configuration, readConfiguration(given));
  BERTH_RETURN_IF_ERROR(support::replaceFile(
      ours, support::strCat(configuration, "\ncgroup-root=", container.cgroup, "\n"), 0600,
      support::Durability::kVisible));
  annotations[kAnnotation] = ours;
  return support::replaceFile(bundleFile, boost::json::serialize(bundle), 0600,
                              support::Durability::kVisible);
}

}  // namespace berth::runc
