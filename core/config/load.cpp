#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/trust.hpp"
#include "config/config.hpp"
#include "config/document.hpp"
#include "config/reader.hpp"

namespace berth::config {
namespace {

using support::strCat;

// Far more than any configuration; a log or an image given by mistake is refused at once.
constexpr size_t kMaximumFileBytes = 1u << 20;

// In the order in which they are merged.
absl::StatusOr<std::vector<std::string>> dropIns(const std::string& folder) {
  BERTH_RETURN_IF_ERROR(common::refuseWritableByOthers(folder));
  std::vector<std::string> files;
  absl::StatusOr<std::vector<std::string>> names = support::listDirectory(folder);
  if (absl::IsNotFound(names.status())) return files;
  if (!names.ok()) return names.status();
  for (const std::string& name : *names)
    // What editors and package managers leave beside ends otherwise or is hidden.
    if (name.ends_with(".toml") && !name.starts_with('.'))
      files.push_back(strCat(folder, "/", name));
  return files;
}

absl::StatusOr<std::string> readText(const std::string& file) {
  constexpr std::string_view kDoing = "load the configuration";
  BERTH_RETURN_IF_ERROR(support::annotate(common::refuseWritableByOthers(file), kDoing));
  absl::StatusOr<std::string> text = support::readFile(file, kMaximumFileBytes);
  if (!text.ok()) return support::annotate(text.status(), kDoing);
  return text;
}

}  // namespace

absl::Status atKey(const Config& config, std::string_view key, const absl::Status& status) {
  return support::annotate(support::annotate(status, key), config.keys.ofOption(key));
}

Config defaults() {
  Problems none;
  return Reader(none).read({});
}

absl::StatusOr<Config> load(const Paths& paths) {
  std::vector<std::string> files;
  absl::StatusOr<std::string> main = readText(paths.file);
  const bool missing = absl::IsNotFound(main.status());
  if (!main.ok() && !(missing && paths.missingFile == MissingFile::kMeansDefaults))
    return main.status();
  absl::StatusOr<std::vector<std::string>> further = dropIns(paths.dropIns);
  if (!further.ok()) return support::annotate(further.status(), "load the configuration");

  Problems problems;
  Table document;
  const auto add = [&](const std::string& text, const std::string& file) {
    if (std::optional<Table> parsed = parseDocument(text, file, problems))
      merge(document, *std::move(parsed));
  };
  if (main.ok()) add(*main, paths.file);
  for (const std::string& file : *further) {
    BERTH_ASSIGN_OR_RETURN(const std::string text, readText(file));
    add(text, file);
  }
  // What is no TOML would make the rest look wrong too.
  BERTH_RETURN_IF_ERROR(problems.status());
  Config config = Reader(problems).read(document);
  BERTH_RETURN_IF_ERROR(problems.status());
  return config;
}

absl::StatusOr<Config> loadReadable(const Paths& paths) {
  const absl::StatusOr<std::string> main = readText(paths.file);
  if (!main.ok() && paths.missingFile == MissingFile::kIsError) return main.status();
  Table document;
  if (main.ok()) document = parseBeginning(*main, paths.file);
  if (const auto further = dropIns(paths.dropIns); further.ok()) {
    for (const std::string& file : *further)
      if (const auto text = readText(file); text.ok()) merge(document, parseBeginning(*text, file));
  }
  Problems ignored;
  return Reader(ignored).read(document);
}

}  // namespace berth::config
