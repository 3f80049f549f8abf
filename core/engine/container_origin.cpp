#include "engine/container_origin.hpp"

#include <cerrno>
#include <cstdio>

#include "berth/support/files.hpp"
#include "berth/support/ids.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "common/log.hpp"

namespace berth::engine {

using support::strCat;

absl::StatusOr<std::unique_ptr<ImportedCheckpoint>> ImportedCheckpoint::create(
    const std::string& parent) {
  const std::string directory = strCat(parent, "/import-", support::randomId());
  BERTH_RETURN_IF_ERROR(support::makeDirectories(directory, 0700));
  return std::unique_ptr<ImportedCheckpoint>(new ImportedCheckpoint(directory));
}

ImportedCheckpoint::~ImportedCheckpoint() {
  if (directory_.empty()) return;
  if (absl::Status removed = support::removeTree(directory_); !removed.ok()) {
    common::logWarning("removing the files of a checkpoint failed; the next start tries again",
                       {{"path", directory_}, {"error", removed.ToString()}});
  }
}

absl::Status ImportedCheckpoint::read() {
  BERTH_ASSIGN_OR_RETURN(tree_, checkpoint::readTree(directory_));
  return absl::OkStatus();
}

absl::Status ImportedCheckpoint::moveTo(const std::string& path) {
  if (support::steps::rename(directory_.c_str(), path.c_str()) != 0) {
    return support::errnoStatus(errno, strCat("rename ", directory_, " to ", path));
  }
  directory_.clear();
  tree_.directory = path;
  return absl::OkStatus();
}

runtime::v1::ContainerConfig ContainerOrigin::configFor(
    const runtime::v1::ContainerConfig& config) const {
  runtime::v1::ContainerConfig result = config;
  if (checkpoint == nullptr || config.command_size() > 0 || config.args_size() > 0) return result;
  // The image may name no program, and what it names need not be what runs.
  const boost::json::object* process = support::objectMember(checkpoint->tree().spec, "process");
  if (process == nullptr) return result;
  for (const std::string& argument : support::stringsMember(*process, "args")) {
    result.add_command(argument);
  }
  return result;
}

}  // namespace berth::engine
