#include "pod_cidr.hpp"

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "conf_template.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr std::string_view kFileName = "10-berth.conflist";
constexpr size_t kLargestTemplate = 1u << 20;

}  // namespace

absl::Status writePodCidrConfig(const Options& options, Networks& networks,
                                std::string_view cidrs) {
  if (cidrs.empty()) return absl::OkStatus();
  // What cannot be right is refused also where it would not be used.
  BERTH_ASSIGN_OR_RETURN(const PodCidrValues values, parsePodCidr(cidrs));
  if (options.podCidrTemplate.empty()) return absl::OkStatus();
  const std::string target = strCat(options.confDir, "/", kFileName);
  const auto snapshot = networks.current();
  if (snapshot->network != nullptr && snapshot->network->source != target) return absl::OkStatus();

  const std::string& path = options.podCidrTemplate;
  auto text = support::readFile(path, kLargestTemplate);
  if (!text.ok()) return support::annotate(text.status(), "option template");
  auto rendered = renderTemplate(*text, values);
  if (!rendered.ok()) return support::annotate(rendered.status(), path);
  const auto parsed = parseNetwork(*rendered, strCat("filled in from ", path), FileKind::kList);
  BERTH_RETURN_IF_ERROR(parsed.status());

  const auto existing = support::readFile(target);
  if (existing.ok() && *existing == *rendered) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(support::makeDirectories(options.confDir));
  return support::replaceFile(target, *rendered, 0644, support::Durability::kDurable);
}

}  // namespace berth::cni
