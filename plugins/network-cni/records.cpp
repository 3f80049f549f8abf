#include "records.hpp"

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/shared_directory.hpp"
#include "berth/support/status.hpp"
#include "options.hpp"

namespace berth::cni {
namespace {

using support::strCat;

constexpr std::string_view kRecord = ".attachment";
constexpr std::string_view kResult = ".result";
// Never part of a pod's id, and allowed in a file's name.
constexpr char kSeparator = '@';
constexpr mode_t kPrivate = 0600;

absl::StatusOr<std::string> readRegular(const std::string& path) {
  auto text = support::readFile(path);
  // EISDIR and ENOTDIR: what stands there is something else.
  if (absl::IsFailedPrecondition(text.status()))
    return absl::DataLossError(text.status().message());
  return text;
}

}  // namespace

bool isLost(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsDataLoss(status);
}

std::string Records::path(std::string_view pod, std::string_view interface,
                          std::string_view ending) const {
  return strCat(directory_, "/", pod, std::string_view(&kSeparator, 1), interface, ending);
}

std::string Records::recordFile(std::string_view pod, std::string_view interface) const {
  return path(pod, interface, kRecord);
}

absl::Status Records::prepare() {
  BERTH_RETURN_IF_ERROR(
      support::annotate(support::makeDirectories(directory_, 0700), "option cache_dir"));
  BERTH_ASSIGN_OR_RETURN(shared_, support::shareDirectory(directory_, [this] {
                           return support::removeTemporaries(directory_);
                         }));
  return absl::OkStatus();
}

absl::Status Records::begin(const AttachmentRecord& record) const {
  // A result of an earlier attachment of the same pod would be taken for this one's.
  BERTH_RETURN_IF_ERROR(support::removePath(path(record.pod, record.interface, kResult)));
  return support::replaceFile(recordFile(record.pod, record.interface), record.encode(), kPrivate,
                              support::Durability::kDurable);
}

absl::Status Records::complete(const AttachmentRecord& record) const {
  if (!record.result) return absl::OkStatus();
  return support::replaceFile(path(record.pod, record.interface, kResult),
                              boost::json::serialize(*record.result), kPrivate,
                              support::Durability::kVisible);
}

absl::Status Records::remove(std::string_view pod, std::string_view interface) const {
  const std::string file = recordFile(pod, interface);
  const absl::Status found = load(pod, interface).status();
  if (!found.ok() && !isLost(found)) return found;
  BERTH_RETURN_IF_ERROR(support::removePath(path(pod, interface, kResult)));
  if (absl::IsDataLoss(found)) {
    return aside_.take(file, file.substr(directory_.size() + 1)).status();
  }
  return support::removePath(file);
}

absl::StatusOr<AttachmentRecord> Records::load(std::string_view pod,
                                               std::string_view interface) const {
  const std::string file = recordFile(pod, interface);
  BERTH_ASSIGN_OR_RETURN(const std::string text, readRegular(file));
  BERTH_ASSIGN_OR_RETURN(AttachmentRecord record, AttachmentRecord::decode(text, file));
  if (record.pod != pod || record.interface != interface)
    return absl::DataLossError(strCat(file, ": it is the record of another attachment"));
  const auto result = readRegular(path(pod, interface, kResult));
  // Without it the attachment would be taken for one that was cut off.
  if (!result.ok() && !isLost(result.status())) return result.status();
  if (result.ok()) {
    auto object = support::parseJsonObject(*result, "result");
    if (object.ok()) record.result = *std::move(object);
  }
  return record;
}

absl::StatusOr<std::vector<Records::Name>> Records::list() const {
  const auto files = support::listDirectory(directory_);
  if (absl::IsNotFound(files.status())) return std::vector<Name>();
  BERTH_RETURN_IF_ERROR(files.status());
  std::vector<Name> names;
  for (const std::string& file : *files) {
    std::string_view name = file;
    if (!name.ends_with(kRecord)) continue;
    name.remove_suffix(kRecord.size());
    const size_t at = name.find(kSeparator);
    if (at == std::string_view::npos) continue;
    Name one{std::string(name.substr(0, at)), std::string(name.substr(at + 1))};
    if (isIdentifier(one.pod) && isInterfaceName(one.interface)) names.push_back(std::move(one));
  }
  return names;
}

absl::StatusOr<std::vector<support::DamagedFile>> Records::findUnreadable() const {
  BERTH_ASSIGN_OR_RETURN(const auto names, list());
  std::vector<support::DamagedFile> found;
  for (const Name& name : names) {
    const absl::Status record = load(name.pod, name.interface).status();
    if (!record.ok() && !absl::IsNotFound(record))
      found.push_back({recordFile(name.pod, name.interface), record});
    const std::string file = path(name.pod, name.interface, kResult);
    const auto result = support::readFile(file);
    if (!result.ok() || support::isCutOff(*result)) continue;
    const absl::Status parsed = support::parseJsonObject(*result, file).status();
    if (!parsed.ok()) found.push_back({file, absl::DataLossError(parsed.message())});
  }
  return found;
}

absl::StatusOr<std::string> Records::setAside(const support::DamagedFile& damage) const {
  if (!damage.path.ends_with(kResult)) return std::string();
  return aside_.take(damage.path, damage.path.substr(directory_.size() + 1));
}

}  // namespace berth::cni
