#include "engine/checkpoint/pod_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "common/log.hpp"
#include "engine/checkpoint/names.hpp"

namespace berth::checkpoint {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kOptionsBytes = 1u << 20;

std::string folderOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

absl::Status renamePath(const std::string& from, const std::string& to) {
  if (support::steps::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return support::errnoStatus(errno, strCat("rename ", from, " to ", to));
}

absl::Status sync(const support::Fd& folder, const std::string& path) {
  if (::fsync(folder.get()) == 0) return absl::OkStatus();
  return support::errnoStatus(errno, strCat("sync ", path));
}

// What had been moved out of the partial folder is told by its options, which are moved last.
absl::Status removePartial(const std::string& partial) {
  const auto options = support::readFile(strCat(partial, "/", kPodOptions), kOptionsBytes);
  if (!options.ok()) return support::removeTree(partial);
  support::StatusCollector failures;
  if (const auto description = parsePodOptions(*options); description.ok()) {
    for (const auto& [name, place] : description->containers) {
      failures.add(support::removeTree(strCat(folderOf(partial), "/", place)));
    }
    failures.add(support::removeTree(strCat(folderOf(partial), "/", kPodDump)));
  }
  if (failures.ok()) failures.add(support::removeTree(partial));
  return failures.status();
}

}  // namespace

std::string podOptions(const PodFolder& folder) {
  json::object containers;
  for (const auto& [name, path] : folder.containers) containers[name] = path;
  return json::serialize(json::object{{"version", kVersion},
                                      {"containers", std::move(containers)},
                                      {"checkpointFormat", folder.format}});
}

absl::StatusOr<PodFolder> parsePodOptions(std::string_view text) {
  BERTH_ASSIGN_OR_RETURN(const json::object document, support::parseJsonObject(text, kPodOptions));
  const int64_t version = support::intMember(document, "version");
  if (version != kVersion) {
    return absl::InvalidArgumentError(
        strCat(kPodOptions, " has the version ", version, "; only ", kVersion, " is known"));
  }
  PodFolder folder{.format = support::stringMember(document, "checkpointFormat")};
  const json::object* containers = support::objectMember(document, "containers");
  if (containers == nullptr || containers->empty()) {
    return absl::InvalidArgumentError(strCat(kPodOptions, " names no containers"));
  }
  for (const auto& [name, path] : *containers) {
    const std::string place = path.is_string() ? std::string(path.get_string()) : "";
    if (place.empty() || place.front() == '.' || place.find('/') != std::string::npos) {
      return absl::InvalidArgumentError(
          strCat(kPodOptions, ": \"", place, "\" is no folder of a container"));
    }
    folder.containers[std::string(name)] = place;
  }
  return folder;
}

PodOutput::PodOutput(std::string folder, std::string note)
    : folder_(std::move(folder)),
      partial_(strCat(folder_, "/.berth-partial-", support::randomId())),
      note_(std::move(note)) {}

PodOutput::~PodOutput() {
  if (absl::Status undone = undoPodOutput(note_); !undone.ok()) {
    common::logWarning("removing a part of a pod's checkpoint failed; the next start tries again",
                       {{"path", partial_}, {"error", undone.ToString()}});
  }
}

absl::StatusOr<std::string> PodOutput::begin() {
  BERTH_RETURN_IF_ERROR(support::replaceFile(note_, partial_, 0600, support::Durability::kVisible));
  BERTH_RETURN_IF_ERROR(support::makeDirectories(partial_, 0700));
  return partial_;
}

absl::Status PodOutput::commit() {
  BERTH_ASSIGN_OR_RETURN(const support::Fd folder,
                         support::openFile(folder_, O_RDONLY | O_DIRECTORY));
  if (::syncfs(folder.get()) != 0) return support::errnoStatus(errno, strCat("sync ", folder_));
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names, support::listDirectory(partial_));
  for (const std::string& name : names) {
    if (name == kPodOptions) continue;
    BERTH_RETURN_IF_ERROR(renamePath(strCat(partial_, "/", name), strCat(folder_, "/", name)));
  }
  BERTH_RETURN_IF_ERROR(sync(folder, folder_));
  const std::string from = strCat(partial_, "/", kPodOptions);
  const std::string to = strCat(folder_, "/", kPodOptions);
  BERTH_RETURN_IF_ERROR(renamePath(from, to));
  absl::Status synced = sync(folder, folder_);
  // Nobody is to find what the caller is told has failed.
  if (!synced.ok()) renamePath(to, from).IgnoreError();
  return synced;
}

absl::Status undoPodOutput(const std::string& note) {
  const auto partial = support::readFile(note);
  if (absl::IsNotFound(partial.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(partial.status());
  if (!partial->empty()) BERTH_RETURN_IF_ERROR(removePartial(*partial));
  return support::removePath(note);
}

}  // namespace berth::checkpoint
