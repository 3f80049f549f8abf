// What needs no connection: starting a monitor, clearing up after one, exit records.
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "../protocol/exit_record.hpp"
#include "berth/support/files.hpp"
#include "berth/support/lock_holders.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "connection.hpp"
#include "monitor_client.hpp"
#include "status_of.hpp"

namespace berth::runc {

namespace {

constexpr size_t kMaxExitRecord = 64u << 10;

absl::Status unreadable(const std::string& program, const support::Output& output) {
  return absl::InternalError(
      absl::StrCat(program, " start: exit code ", output.exitCode, " without a reply",
                   output.standardError.empty() ? "" : ": ", output.standardError));
}

}  // namespace

absl::StatusOr<protocol::PodFacts> startMonitor(const std::string& program,
                                                const protocol::StartRequest& request,
                                                const CallLimits& limits) {
  support::Command command;
  // The folder is for those who look at the process list, and for `berth-monitor inspect`.
  command.argv = {program, "start", request.runDir};
  support::RunLimits runLimits;
  runLimits.deadline = limits.deadline;
  runLimits.cancelFd = limits.cancelFd;
  BERTH_ASSIGN_OR_RETURN(
      const support::Output output,
      support::run(command, protocol::encodeFrame({protocol::Type::kStartMonitor, 0, 0}, request),
                   runLimits));
  protocol::Header header;
  std::string_view fields;
  protocol::StartReply reply;
  if (protocol::decodeHeader(output.standardOutput, header, fields) ||
      protocol::decodeFields(fields, reply)) {
    return unreadable(program, output);
  }
  BERTH_RETURN_IF_ERROR(statusOf(reply.result));
  if (output.exitCode != 0) return unreadable(program, output);
  return std::move(reply.facts);
}

absl::Status cleanUpMonitor(const std::string& runDir, const std::string& netPin) {
  absl::StatusOr<support::Fd> directory =
      support::openFile(runDir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory.ok()) {
    // A monitor holds this lock for its life, from before it makes anything.
    if (flock(directory->get(), LOCK_EX | LOCK_NB) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("clean up ", runDir, ": a monitor serves it; shut it down instead"));
    }
  } else if (!absl::IsNotFound(directory.status())) {
    return directory.status();
  }
  support::StatusCollector collector;
  if (!netPin.empty()) {
    collector.add(support::unmount(netPin, support::UnmountMode::kLazy));
    collector.add(support::removePath(netPin));
  }
  if (directory.ok()) {
    for (const char* name : {"/sock", "/state"}) {
      collector.add(support::removePath(absl::StrCat(runDir, name)));
    }
  }
  return collector.status();
}

absl::StatusOr<bool> monitorHolds(const std::string& runDir) {
  const absl::StatusOr<support::Fd> directory =
      support::openFile(runDir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (absl::IsNotFound(directory.status())) return false;
  BERTH_RETURN_IF_ERROR(directory.status());
  if (flock(directory->get(), LOCK_EX | LOCK_NB) == 0) return false;
  if (errno == EWOULDBLOCK) return true;
  // UNAVAILABLE, as which ENOLCK counts, is what a monitor's death is told by.
  if (errno == ENOLCK)
    return absl::ResourceExhaustedError(
        absl::StrCat("look whether a monitor holds ", runDir, ": no locks are left"));
  return support::errnoStatus(errno, absl::StrCat("look whether a monitor holds ", runDir));
}

bool monitorAlive(const std::string& runDir) {
  return connectToMonitor(runDir).ok();
}

bool isUnreachable(const std::string& runDir) {
  return absl::IsNotFound(connectToMonitor(runDir).status());
}

std::string monitorSocket(const std::string& runDir) {
  return runDir + "/sock";
}

void killMonitor(const std::string& runDir) {
  struct stat info = {};
  if (::stat(runDir.c_str(), &info) != 0) return;
  support::killProcesses([&](pid_t pid) { return support::holdsLock(pid, info); });
}

absl::StatusOr<protocol::ContainerStatus> readExitRecord(const std::string& runDir,
                                                         const std::string& containerId) {
  const std::string path = absl::StrCat(runDir, "/", protocol::exitRecordName(containerId));
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path, kMaxExitRecord));
  protocol::ContainerStatus status;
  if (!protocol::parseExitRecord(text, status)) {
    return absl::DataLossError(absl::StrCat(path, " is no exit record"));
  }
  return status;
}

absl::StatusOr<std::vector<protocol::ContainerStatus>> readExitRecords(
    const std::string& runDir, std::vector<support::DamagedFile>* unread) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(absl::StrCat(runDir, "/", protocol::kExitsFolder)));
  std::vector<protocol::ContainerStatus> records;
  for (const std::string& name : names) {
    if (name.front() == '.') continue;  // one that was being written
    if (auto record = readExitRecord(runDir, name); record.ok()) {
      records.push_back(*std::move(record));
    } else if (unread != nullptr) {
      unread->push_back(
          {absl::StrCat(runDir, "/", protocol::exitRecordName(name)), record.status()});
    }
  }
  return records;
}

}  // namespace berth::runc
