#include "cdi/registry.hpp"

#include <algorithm>
#include <set>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"

namespace berth::cdi {
namespace {

using support::strCat;

// A node may have hundreds; an error is to be read.
constexpr size_t kMostNames = 20;

std::string listed(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMostNames);
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<long>(shown), ", ");
  if (shown < names.size()) text += strCat(" and ", names.size() - shown, " more");
  return text;
}

}  // namespace

Registry::Registry(std::vector<std::string> folders)
    : cache_(std::move(folders), {".json", ".yaml"},
             [](std::string_view text, const common::FolderEntry& entry) {
               return parseDocument(text, entry.path);
             }) {}

void Registry::addDevice(const std::string& name, Found found, View& view) {
  const auto [known, added] = view.devices.emplace(name, found);
  if (added) return;
  // Files come in the order of their folders.
  if (found.folder > known->second.folder) {
    known->second = std::move(found);
    return;
  }
  known->second.also = found.path;
  view.problems.push_back({found.path, absl::InvalidArgumentError(strCat(
                                           "it describes the device ", name, ", and so does ",
                                           known->second.path, ": remove one"))});
}

Registry::View Registry::view() {
  View view;
  for (const auto& file : cache_.files()) {
    if (!file.document.ok()) {
      view.problems.push_back({file.entry.path, file.document.status()});
      continue;
    }
    const std::shared_ptr<const Document>& document = *file.document;
    for (const Device& device : document->devices)
      addDevice(strCat(document->kind, "=", device.name),
                {.document = document,
                 .device = &device,
                 .path = file.entry.path,
                 .folder = file.entry.folder},
                view);
  }
  return view;
}

absl::Status Registry::unknown(const std::string& name, const View& view) const {
  std::vector<std::string> names;
  for (const auto& [known, found] : view.devices) names.push_back(known);
  std::string message = strCat("CDI device \"", name, "\" is unknown: ");
  if (folders().empty())
    message += "no folders of CDI files are configured (containers.cdi_dirs)";
  else
    message += strCat("the files in ", absl::StrJoin(folders(), " and "), " describe ",
                      names.empty() ? "no device" : listed(names));
  for (const Problem& problem : view.problems)
    message +=
        strCat("; ", problem.path, " is of no use: ", support::fromAbsl(problem.status.message()));
  return absl::InvalidArgumentError(message);
}

absl::Status Registry::inject(const std::vector<std::string>& devices,
                              const RuntimeSupport& support, boost::json::object& spec) {
  if (devices.empty()) return absl::OkStatus();
  const View view = this->view();
  std::vector<std::pair<std::string, const Found*>> wanted;
  std::set<std::string> seen;
  // All are found before the specification is touched.
  for (const std::string& name : devices) {
    if (!seen.insert(name).second) continue;
    BERTH_RETURN_IF_ERROR(checkQualifiedName(name));
    const auto found = view.devices.find(name);
    if (found == view.devices.end()) return unknown(name, view);
    if (!found->second.also.empty())
      return absl::InvalidArgumentError(strCat("CDI device \"", name, "\" is described by ",
                                               found->second.path, " and by ", found->second.also,
                                               " of the same folder: remove one"));
    wanted.emplace_back(name, &found->second);
  }
  std::set<const Document*> applied;
  for (const auto& [name, device] : wanted) {
    const Found& found = *device;
    const auto apply = [&]() -> absl::Status {
      if (applied.insert(found.document.get()).second)
        BERTH_RETURN_IF_ERROR(applyEdits(found.document->edits, support, spec));
      return applyEdits(found.device->edits, support, spec);
    };
    BERTH_RETURN_IF_ERROR(
        support::annotate(apply(), strCat("CDI device \"", name, "\" of ", found.path)));
  }
  return absl::OkStatus();
}

std::vector<std::string> Registry::devices() {
  std::vector<std::string> names;
  for (const auto& [name, found] : view().devices)
    if (found.also.empty()) names.push_back(name);
  return names;
}

std::vector<Problem> Registry::problems() {
  return view().problems;
}

}  // namespace berth::cdi
