#include "hooks/registry.hpp"

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::hooks {
Registry::Registry(std::vector<std::string> folders)
    : cache_(std::move(folders), {".json"},
             [](std::string_view text, const common::FolderEntry& entry) {
               return parseDefinition(text, entry.path);
             }) {}

std::map<std::pair<std::string, std::string>, Registry::File> Registry::current() {
  std::map<std::pair<std::string, std::string>, File> files;
  for (File& file : cache_.files()) {
    // A folder that cannot be read has no name, and stands for all that it may have.
    const std::string name = file.entry.name.empty() ? file.entry.path : file.entry.name;
    files[{common::upperCase(name), name}] = std::move(file);
  }
  return files;
}

absl::Status Registry::inject(const Subject& subject, boost::json::object& spec) {
  if (folders().empty()) return absl::OkStatus();
  const auto files = current();
  for (const auto& [name, file] : files)
    if (!file.document.ok())
      return absl::FailedPreconditionError(support::strCat(
          "the OCI hook of ", file.entry.path, " is of no use; put it right or remove it: ",
          support::fromAbsl(file.document.status().message())));
  for (const auto& [name, file] : files) {
    const Definition& definition = **file.document;
    if (!definition.when.holds(subject)) continue;
    for (const std::string& stage : definition.stages)
      support::arrayAt(support::objectAt(spec, "hooks"), stage).emplace_back(definition.hook);
  }
  return absl::OkStatus();
}

std::vector<std::pair<std::string, absl::Status>> Registry::problems() {
  std::vector<std::pair<std::string, absl::Status>> result;
  for (const auto& [name, file] : current())
    if (!file.document.ok()) result.emplace_back(file.entry.path, file.document.status());
  return result;
}

}  // namespace berth::hooks
