#include "records.hpp"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

namespace json = boost::json;
using support::intMember;
using support::strCat;
using support::stringMember;

namespace {

constexpr int64_t kRecordVersion = 1;
constexpr std::string_view kSuffix = ".json";

absl::Status checkVersion(const json::object& document, std::string_view what) {
  const int64_t version = intMember(document, "version");
  if (version <= 0) return absl::DataLossError(strCat(what, " has no version"));
  if (version <= kRecordVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(strCat(what, " has version ", version,
                                              "; this plugin reads version ", kRecordVersion,
                                              " at most: use the plugin that wrote it"));
}

std::string fileOf(const PodRecord& pod, const std::string& container) {
  return strCat(pod.containersDir(), "/", container, kSuffix);
}

// What was read and makes no sense, unlike what could not be read.
absl::StatusOr<json::object> parseRecord(std::string_view text, std::string_view what) {
  auto document = support::parseJsonObject(text, what);
  if (!document.ok()) return absl::DataLossError(document.status().message());
  BERTH_RETURN_IF_ERROR(checkVersion(*document, what));
  return document;
}

absl::StatusOr<ContainerRecord> loadContainerRecord(const std::string& id,
                                                    const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path));
  BERTH_ASSIGN_OR_RETURN(const json::object document, parseRecord(text, path));
  if (stringMember(document, "id") != id)
    return absl::DataLossError(strCat(path, " is the record of another container"));
  return ContainerRecord{.id = id,
                         .bundle = stringMember(document, "bundle"),
                         .cgroup = stringMember(document, "cgroup")};
}

// Empty when the pod has no parent for it.
std::string usualCgroup(const PodRecord& pod, const std::string& container) {
  const auto path =
      containerCgroup(defaultCgroupsPath(pod.cgroupParent, container, pod.driver), pod.driver);
  return path.ok() && !pod.cgroupParent.empty() ? *path : std::string();
}

}  // namespace

std::string serialize(const PodRecord& record) {
  return json::serialize(json::object{
      {"version", kRecordVersion},
      {"id", record.id},
      {"directory", record.directory},
      {"netPin", record.netPin},
      {"runtimeBinary", record.runtimeBinary},
      {"runtimeRoot", record.runtimeRoot},
      {"runtimeArgs", json::array(record.runtimeArgs.begin(), record.runtimeArgs.end())},
      {"cgroupParent", record.cgroupParent},
      {"systemdCgroup", record.driver == CgroupDriver::kSystemd},
      {"ownCgroup", record.ownCgroup},
      {"initPid", record.initPid},
      {"initStart", record.initStart},
  });
}

absl::StatusOr<PodRecord> parsePodRecord(const std::string& id, std::string_view text) {
  constexpr std::string_view kWhat = "the saved state of the pod";
  BERTH_ASSIGN_OR_RETURN(const json::object document, parseRecord(text, kWhat));
  PodRecord record;
  record.id = stringMember(document, "id");
  record.directory = stringMember(document, "directory");
  record.netPin = stringMember(document, "netPin");
  record.runtimeBinary = stringMember(document, "runtimeBinary");
  record.runtimeRoot = stringMember(document, "runtimeRoot");
  record.runtimeArgs = support::stringsMember(document, "runtimeArgs");
  record.cgroupParent = stringMember(document, "cgroupParent");
  record.driver = support::boolMember(document, "systemdCgroup") ? CgroupDriver::kSystemd
                                                                 : CgroupDriver::kCgroupfs;
  record.ownCgroup = support::boolMember(document, "ownCgroup");
  record.initPid = static_cast<int32_t>(intMember(document, "initPid"));
  record.initStart = static_cast<uint64_t>(intMember(document, "initStart"));
  for (const auto& [name, value] : {std::pair{"id", &record.id},
                                    {"directory", &record.directory},
                                    {"runtimeBinary", &record.runtimeBinary},
                                    {"runtimeRoot", &record.runtimeRoot}}) {
    if (value->empty()) {
      return absl::DataLossError(strCat(kWhat, " lacks its member \"", name, "\""));
    }
  }
  if (record.id != id)
    return absl::DataLossError(strCat(kWhat, " ", id, " is that of another, ", record.id));
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
  const std::string text = json::serialize(json::object{{"version", kRecordVersion},
                                                        {"id", record.id},
                                                        {"bundle", record.bundle},
                                                        {"cgroup", record.cgroup}});
  return support::replaceFile(fileOf(pod, record.id), text, 0600, support::Durability::kVisible);
}

ContainerRecord recordByName(const PodRecord& pod, const std::string& container) {
  return {.id = container, .bundle = {}, .cgroup = usualCgroup(pod, container)};
}

absl::StatusOr<LoadedContainers> loadContainerRecords(const PodRecord& pod) {
  LoadedContainers loaded;
  const auto names = support::listDirectory(pod.containersDir());
  if (absl::IsNotFound(names.status())) return loaded;
  BERTH_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::string id = name.substr(0, name.size() - std::min(name.size(), kSuffix.size()));
    if (!name.ends_with(kSuffix) || !checkId("container", id).ok()) continue;
    const std::string path = strCat(pod.containersDir(), "/", name);
    auto record = loadContainerRecord(id, path);
    if (isDamage(record.status())) {
      loaded.damages.push_back({path, record.status()});
      record = recordByName(pod, id);
    }
    BERTH_RETURN_IF_ERROR(record.status());
    loaded.records.push_back(*std::move(record));
  }
  return loaded;
}

absl::Status forget(const PodRecord& pod, const std::string& container) {
  return support::removePath(fileOf(pod, container));
}

}  // namespace berth::runc
