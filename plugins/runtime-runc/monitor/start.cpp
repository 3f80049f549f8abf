// `berth-monitor start`: request on stdin, reply on stdout, and a monitor that stays.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../protocol/exit_record.hpp"
#include "berth/support/durable.hpp"
#include "berth/support/steps.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "namespaces.hpp"
#include "pod.hpp"

namespace berth::runc::monitor {

using protocol::NamespaceMode;

namespace {

// ---- the request -------------------------------------------------------------------------------

Status readRequest(protocol::StartRequest& request) {
  std::string frame;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) != 0) {
    if (count < 0) {
      if (errno == EINTR) continue;
      return errnoFailure(errno, {"read the start request from stdin"});
    }
    frame.append(buffer, static_cast<size_t>(count));
    if (frame.size() > protocol::kMaxStartRequest) {
      return failure(Code::kInvalidArgument, {"the start request is larger than 1 MiB"});
    }
  }
  protocol::Header header;
  std::string_view fields;
  protocol::DecodeError error = protocol::decodeHeader(frame, header, fields);
  if (!error && header.type != protocol::Type::kStartMonitor) {
    error = {"it is of another type", 0};
  }
  if (!error) error = protocol::decodeFields(fields, request);
  if (error) {
    return failure(Code::kInvalidArgument, {"the start request on stdin is malformed: field ",
                                            Number(error.tag), ": ", error.what});
  }
  return {};
}

Status checkRequest(const protocol::StartRequest& request) {
  if (std::min(request.maxVersion, protocol::kVersion) <
      std::max(request.minVersion, protocol::kOldestVersion)) {
    return failure(Code::kFailedPrecondition,
                   {"no common protocol version: the caller speaks ", Number(request.minVersion),
                    " to ", Number(request.maxVersion), ", this berth-monitor ",
                    Number(protocol::kOldestVersion), " to ", Number(protocol::kVersion)});
  }
  const std::pair<std::string_view, const std::string&> paths[] = {
      {"run folder", request.runDir},
      {"OCI runtime", request.runtimePath},
      {"runtime root", request.runtimeRoot}};
  for (const auto& [name, path] : paths) {
    if (path.empty() || path.front() != '/') {
      return failure(Code::kInvalidArgument,
                     {"the ", name, " must be an absolute path, not \"", path, "\""});
    }
  }
  if (request.net == NamespaceMode::kNew && (request.netPin.empty() || request.netPin[0] != '/')) {
    return failure(Code::kInvalidArgument,
                   {"a network namespace of its own needs an absolute path to pin it at, not \"",
                    request.netPin, "\""});
  }
  if (request.user == NamespaceMode::kNew &&
      (request.uidMappings.empty() || request.gidMappings.empty())) {
    return failure(Code::kInvalidArgument, {"a user namespace needs uid and gid mappings"});
  }
  return {};
}

// ---- the monitor -------------------------------------------------------------------------------

Status lockRunDir(Context& context) {
  const std::string& path = context.config.runDir;
  context.runDir.reset(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!context.runDir) return errnoFailure(errno, {"open the run folder ", path});
  // Held for the monitor's life: there is never a second one for a folder.
  if (flock(context.runDir.get(), LOCK_EX | LOCK_NB) != 0) {
    return failure(Code::kAlreadyExists, {"a monitor serves ", path, " already"});
  }
  const std::string exits(protocol::kExitsFolder);
  if (support::steps::mkdirat(context.runDir.get(), exits.c_str(), 0700) != 0 && errno != EEXIST) {
    return errnoFailure(errno, {"make the folder ", path, "/", exits});
  }
  return {};
}

Status arrangeProcess(const protocol::StartRequest& config) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return errnoFailure(errno, {"become the subreaper of the pod's containers"});
  }
  for (const std::string& directory : config.cgroupDirs) {
    const std::string procs = concat({directory, "/cgroup.procs"});
    if (const int error = writeControl(procs.c_str(), "0"); error != 0) {
      return errnoFailure(error, {"move the monitor into the cgroup ", directory});
    }
  }
  if (config.setOomScoreAdj != 0) {
    // Lowering it needs CAP_SYS_RESOURCE, which is not everywhere; then it stays as it is.
    writeControl("/proc/self/oom_score_adj", Number(config.oomScoreAdj));
  }
  for (const std::string& variable : config.runtimeEnvironment) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) {
      return failure(Code::kInvalidArgument,
                     {"the runtime's environment has \"", variable, "\", which is not NAME=VALUE"});
    }
    setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
  return {};
}

std::string descriptorPath(const Fd& fd) {
  return fd ? concat({"/proc/", Number(getpid()), "/fd/", Number(fd.get())}) : std::string();
}

void fillFacts(Context& context, const PodNamespaces& namespaces) {
  protocol::PodFacts& facts = context.facts;
  facts.podId = context.config.podId;
  facts.monitorPid = getpid();
  facts.initPid = namespaces.initPid;
  if (context.config.net == NamespaceMode::kNew) facts.netPath = context.config.netPin;
  facts.ipcPath = descriptorPath(namespaces.ipc);
  facts.utsPath = descriptorPath(namespaces.uts);
  facts.userPath = descriptorPath(namespaces.user);
  facts.pidPath = descriptorPath(namespaces.pid);
}

Status prepare(Context& context, Pod& pod, PodNamespaces& namespaces) {
  if (Status status = context.loop.open(); !isOk(status)) return status;
  if (Status status = arrangeProcess(context.config); !isOk(status)) return status;
  context.runtime.open(context.config);
  if (Status status = pod.open(); !isOk(status)) return status;
  return makeNamespaces(context, namespaces);
}

void undo(Context& context, const PodNamespaces& namespaces) {
  if (namespaces.initPid != 0) kill(namespaces.initPid, SIGKILL);
  support::steps::unlinkat(context.runDir.get(), "state", 0);
  support::steps::unlinkat(context.runDir.get(), std::string(protocol::kExitsFolder).c_str(),
                           AT_REMOVEDIR);
}

// Whether the starter took the result; it may have been killed in the meantime.
bool tell(int starter, const Status& result, const protocol::PodFacts& facts) {
  const protocol::StartReply reply{result, protocol::kVersion, facts};
  return writeFully(starter, protocol::encodeFrame(
                                 {protocol::Type::kStartMonitor, protocol::kReply, 0}, reply)) == 0;
}

int serve(const protocol::StartRequest& request, Fd starter) {
  // One object for the process's life; its end is the process's.
  auto& context = *new Context;
  context.config = request;
  signal(SIGPIPE, SIG_IGN);
  if (Status status = lockRunDir(context); !isOk(status)) {
    tell(starter.get(), status, {});
    return 1;
  }
  auto& pod = *new Pod(context);
  PodNamespaces namespaces;
  Status status = prepare(context, pod, namespaces);
  const bool made = isOk(status);
  if (made) {
    fillFacts(context, namespaces);
    status = context.reaper.open();
  }
  if (isOk(status)) pod.writeState();
  if (!tell(starter.get(), status, context.facts) || !isOk(status)) {
    pod.closeSocket();
    if (made) static_cast<void>(removeNetPin(context.config.netPin));
    undo(context, namespaces);
    return 1;
  }
  starter.reset();
  pod.run();
  pod.closeSocket();
  undo(context, namespaces);
  return 0;
}

// Copies the monitor's answer; its code becomes the exit code.
int passOn(int fromMonitor) {
  std::string frame;
  char buffer[1024];
  ssize_t count = 0;
  while ((count = read(fromMonitor, buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) frame.append(buffer, static_cast<size_t>(count));
  }
  protocol::Header header;
  std::string_view fields;
  protocol::StartReply reply;
  if (protocol::decodeHeader(frame, header, fields) || protocol::decodeFields(fields, reply)) {
    return 1;
  }
  if (writeFully(STDOUT_FILENO, frame) != 0) return 1;
  return isOk(reply.result) ? 0 : 1;
}

int refuse(const Status& status) {
  tell(STDOUT_FILENO, status, {});
  return 1;
}

}  // namespace

int startCommand() {
  protocol::StartRequest request;
  Status status = readRequest(request);
  if (isOk(status)) status = checkRequest(request);
  if (!isOk(status)) return refuse(status);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return refuse(errnoFailure(errno, {"make a pipe"}));
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  // Twice, so that the monitor is neither the caller's descendant nor leads a session, which could
  // get a controlling terminal.
  const pid_t middle = fork();
  if (middle < 0) return refuse(errnoFailure(errno, {"fork the monitor"}));
  if (middle == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    reader.reset();
    _exit(serve(request, detach(std::move(writer))));
  }
  writer.reset();
  while (waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  support::durableStep("fork", "monitor");
  return passOn(reader.get());
}

}  // namespace berth::runc::monitor
