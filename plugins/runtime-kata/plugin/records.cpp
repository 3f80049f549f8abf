#include "records.hpp"

#include <algorithm>

#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::kata {

namespace json = boost::json;
using support::boolMember;
using support::intMember;
using support::strCat;
using support::stringMember;

namespace {

constexpr int64_t kRecordVersion = 1;
constexpr std::string_view kSuffix = ".json";

// What was read and makes no sense, unlike what could not be read.
absl::StatusOr<json::object> parseRecord(std::string_view text, std::string_view what) {
  auto document = support::parseJsonObject(text, what);
  if (!document.ok()) return absl::DataLossError(document.status().message());
  const int64_t version = intMember(*document, "version");
  if (version <= 0) return absl::DataLossError(strCat(what, " has no version"));
  if (version <= kRecordVersion) return document;
  return absl::FailedPreconditionError(strCat(what, " has version ", version,
                                              "; this plugin reads version ", kRecordVersion,
                                              " at most: use the plugin that wrote it"));
}

std::string fileOf(const PodRecord& pod, const std::string& container) {
  return strCat(pod.containersDirectory(), "/", container, kSuffix);
}

absl::StatusOr<ContainerRecord> loadContainer(const std::string& id, const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path));
  BERTH_ASSIGN_OR_RETURN(const json::object document, parseRecord(text, path));
  if (stringMember(document, "id") != id) {
    return absl::DataLossError(strCat(path, " is the record of another container"));
  }
  ContainerRecord record;
  record.id = id;
  record.bundle = stringMember(document, "bundle");
  record.log = stringMember(document, "log");
  record.rootMount = stringMember(document, "rootMount");
  record.cgroup = stringMember(document, "cgroup");
  record.flags = static_cast<uint32_t>(intMember(document, "flags"));
  record.stage = static_cast<Stage>(std::clamp<int64_t>(intMember(document, "stage"), 0, 3));
  record.pid = intMember(document, "pid");
  record.startedAt = intMember(document, "startedAt");
  record.finishedAt = intMember(document, "finishedAt");
  record.exitCode = static_cast<int32_t>(intMember(document, "exitCode"));
  record.oomKilled = boolMember(document, "oomKilled");
  record.message = stringMember(document, "message");
  return record;
}

}  // namespace

std::string serialize(const PodRecord& record) {
  return json::serialize(json::object{
      {"version", kRecordVersion},
      {"id", record.id},
      {"directory", record.directory},
      {"netPin", record.netPin},
      {"eventsSocket", record.eventsSocket},
      {"shim", record.shim},
      {"keeper", record.keeper},
      {"namespaces", record.namespaces},
      {"hostname", record.hostname},
      {"cgroupParent", record.cgroupParent},
      {"systemdCgroup", record.systemdCgroup},
      {"madeCgroups", support::jsonTexts(record.madeCgroups)},
      {"oomScoreAdj", record.oomScoreAdj},
      {"sandbox", record.sandbox},
      {"address", record.address.address},
      {"interface", record.address.version},
      {"shimPid", record.shimPid},
      {"shimStart", record.shimStart},
      {"sandboxPid", record.sandboxPid},
      {"stopped", record.stopped},
  });
}

absl::StatusOr<PodRecord> parsePodRecord(const std::string& id, std::string_view text) {
  constexpr std::string_view kWhat = "the saved state of the pod";
  BERTH_ASSIGN_OR_RETURN(const json::object document, parseRecord(text, kWhat));
  PodRecord record;
  record.id = stringMember(document, "id");
  record.directory = stringMember(document, "directory");
  record.netPin = stringMember(document, "netPin");
  record.eventsSocket = stringMember(document, "eventsSocket");
  record.shim = stringMember(document, "shim");
  record.keeper = stringMember(document, "keeper");
  record.namespaces = boolMember(document, "namespaces");
  record.hostname = stringMember(document, "hostname");
  record.cgroupParent = stringMember(document, "cgroupParent");
  record.systemdCgroup = boolMember(document, "systemdCgroup");
  record.madeCgroups = support::stringsMember(document, "madeCgroups");
  record.oomScoreAdj = static_cast<int32_t>(intMember(document, "oomScoreAdj"));
  record.sandbox = stringMember(document, "sandbox");
  record.address.address = stringMember(document, "address");
  record.address.version = static_cast<int>(intMember(document, "interface", 2));
  record.shimPid = intMember(document, "shimPid");
  record.shimStart = static_cast<uint64_t>(intMember(document, "shimStart"));
  record.sandboxPid = intMember(document, "sandboxPid");
  record.stopped = boolMember(document, "stopped");
  if (record.id != id || record.directory.empty() || record.shim.empty()) {
    return absl::DataLossError(strCat(kWhat, " ", id, " is damaged or that of another"));
  }
  return record;
}

absl::Status save(const PodRecord& record) {
  return support::replaceFile(record.file(), serialize(record), 0600,
                              support::Durability::kVisible);
}

absl::StatusOr<PodRecord> loadPodRecord(const std::string& id, const std::string& directory) {
  const std::string file = PodRecord{.directory = directory}.file();
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(file));
  auto record = parsePodRecord(id, text);
  if (!record.ok()) return support::annotate(record.status(), file);
  return record;
}

bool isDamage(const absl::Status& status) {
  return absl::IsDataLoss(status);
}

absl::Status save(const PodRecord& pod, const ContainerRecord& record) {
  const json::object document{
      {"version", kRecordVersion},
      {"id", record.id},
      {"bundle", record.bundle},
      {"log", record.log},
      {"rootMount", record.rootMount},
      {"cgroup", record.cgroup},
      {"flags", record.flags},
      {"stage", static_cast<int>(record.stage)},
      {"pid", record.pid},
      {"startedAt", record.startedAt},
      {"finishedAt", record.finishedAt},
      {"exitCode", record.exitCode},
      {"oomKilled", record.oomKilled},
      {"message", record.message},
  };
  return support::replaceFile(fileOf(pod, record.id), json::serialize(document), 0600,
                              support::Durability::kVisible);
}

absl::StatusOr<std::vector<ContainerRecord>> loadContainers(
    const PodRecord& pod, std::vector<support::DamagedFile>& damages) {
  std::vector<ContainerRecord> records;
  const auto names = support::listDirectory(pod.containersDirectory());
  if (absl::IsNotFound(names.status())) return records;
  BERTH_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix) || name.front() == '.') continue;
    const std::string path = strCat(pod.containersDirectory(), "/", name);
    auto record = loadContainer(idOfRecord(path), path);
    if (isDamage(record.status())) {
      damages.push_back({path, record.status()});
      continue;
    }
    BERTH_RETURN_IF_ERROR(record.status());
    records.push_back(*std::move(record));
  }
  return records;
}

std::string idOfRecord(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.size() - std::min(name.size(), kSuffix.size()));
}

absl::Status forget(const PodRecord& pod, const std::string& container) {
  return support::removePath(fileOf(pod, container));
}

}  // namespace berth::kata
