#include "namespaces.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/support/steps.hpp"
#include "files.hpp"
#include "pod_init.hpp"

namespace berth::runc::monitor {

using protocol::NamespaceMode;

namespace {

enum class Step : uint8_t { kUser, kIds, kUnshare, kHostname, kSysctl, kInit, kReady };

// From the helper to the monitor: how far it came.
struct Report {
  Step step = Step::kReady;
  int error = 0;
  size_t sysctl = 0;
  pid_t initPid = 0;
};

bool wants(NamespaceMode mode) {
  return mode == NamespaceMode::kNew;
}

int unshareFlags(const protocol::StartRequest& config) {
  int flags = 0;
  if (wants(config.net)) flags |= CLONE_NEWNET;
  if (wants(config.ipc)) flags |= CLONE_NEWIPC;
  if (wants(config.uts)) flags |= CLONE_NEWUTS;
  if (wants(config.pid)) flags |= CLONE_NEWPID;
  return flags;
}

// ---- the helper: a child that ends when the monitor has taken hold of its namespaces -----------

class Helper {
 public:
  Helper(const protocol::StartRequest& config, const std::vector<std::string>& sysctlPaths,
         int channel)
      : config_(config), sysctlPaths_(sysctlPaths), channel_(channel) {}

  [[noreturn]] void run() {
    if (wants(config_.user)) enterUserNamespace();
    if (unshare(unshareFlags(config_)) != 0) fail(Step::kUnshare);
    if (wants(config_.uts) && !config_.hostname.empty() &&
        sethostname(config_.hostname.data(), config_.hostname.size()) != 0) {
      fail(Step::kHostname);
    }
    writeSysctls();
    Report report;
    if (wants(config_.pid)) report.initPid = forkInit();
    send(channel_, &report, sizeof report, MSG_NOSIGNAL);
    char taken = 0;
    // Until the monitor has taken hold. One that has died may have done so before the init asked to
    // die with it.
    if (recv(channel_, &taken, 1, 0) != 1 && report.initPid != 0) kill(report.initPid, SIGKILL);
    _exit(0);
  }

 private:
  [[noreturn]] void fail(Step step, size_t sysctl = 0) {
    const Report report{step, errno, sysctl, 0};
    send(channel_, &report, sizeof report, MSG_NOSIGNAL);
    _exit(1);
  }

  void enterUserNamespace() {
    if (unshare(CLONE_NEWUSER) != 0) fail(Step::kUser);
    const Report report{Step::kUser, 0, 0, 0};
    send(channel_, &report, sizeof report, MSG_NOSIGNAL);
    char go = 0;
    if (recv(channel_, &go, 1, 0) != 1) _exit(1);
    // Only the namespace's root may write the IPC sysctls. Mappings without a root are allowed;
    // the capabilities are there either way.
    if ((setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) && errno != EINVAL) fail(Step::kIds);
  }

  void writeSysctls() {
    for (size_t i = 0; i < sysctlPaths_.size(); ++i) {
      errno = setSysctl(sysctlPaths_[i], config_.sysctls[i].value);
      if (errno != 0) fail(Step::kSysctl, i);
    }
  }

  static int setSysctl(const std::string& path, const std::string& value) {
    // This file is only for the host's root, whoever owns the namespace.
    if (path == "/proc/sys/kernel/domainname")
      return setdomainname(value.data(), value.size()) == 0 ? 0 : errno;
    return writeControl(path.c_str(), value);
  }

  // Its parent is the monitor (CLONE_PARENT), because this process ends soon.
  pid_t forkInit() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail(Step::kInit);
    const long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid < 0) fail(Step::kInit);
    if (pid == 0) {
      ::close(ends[0]);
      runPodInit(ends[1]);
    }
    ::close(ends[1]);
    int error = 0;
    errno = ECHILD;
    if (read(ends[0], &error, sizeof error) != sizeof error) fail(Step::kInit);
    errno = error;
    if (error != 0) fail(Step::kInit);
    ::close(ends[0]);
    return static_cast<pid_t>(pid);
  }

  const protocol::StartRequest& config_;
  const std::vector<std::string>& sysctlPaths_;
  int channel_;
};

// ---- the monitor's side ------------------------------------------------------------------------

Status reportedFailure(const protocol::StartRequest& config, const Report& report) {
  switch (report.step) {
    case Step::kUser:
      return errnoFailure(report.error, {"make a user namespace for pod ", config.podId});
    case Step::kIds:
      return errnoFailure(report.error,
                          {"become root of the user namespace of pod ", config.podId});
    case Step::kUnshare:
      return errnoFailure(report.error, {"make the namespaces of pod ", config.podId});
    case Step::kHostname:
      return errnoFailure(report.error,
                          {"set the hostname \"", config.hostname, "\" of pod ", config.podId});
    case Step::kSysctl: {
      const protocol::Sysctl& sysctl = config.sysctls[report.sysctl];
      Status status = errnoFailure(report.error, {"set sysctl ", sysctl.name, " of pod ",
                                                  config.podId, " to \"", sysctl.value, "\""});
      // A name or value that the kernel refuses is the request's fault.
      status.code = Code::kInvalidArgument;
      return status;
    }
    default:
      return errnoFailure(report.error, {"start the init of pod ", config.podId});
  }
}

Status writeMap(pid_t helper, std::string_view file,
                const std::vector<protocol::IdMapping>& mappings) {
  std::string lines;
  for (const protocol::IdMapping& mapping : mappings) {
    lines += concat({Number(mapping.containerId), " ", Number(mapping.hostId), " ",
                     Number(mapping.size), "\n"});
  }
  const std::string path = concat({"/proc/", Number(helper), "/", file});
  const int error = writeControl(path.c_str(), lines);
  if (error == 0) return {};
  Status status =
      errnoFailure(error, {"write the ", file, " of the pod's user namespace (", lines, ")"});
  status.code = Code::kInvalidArgument;
  return status;
}

// A bind mount on an empty file, where `ip netns` keeps its own. Whether other mount namespaces
// see it follows the propagation of the file system below it, which is left as it is.
Status pinNetwork(pid_t helper, const std::string& pin) {
  if (Status status = makeParents(pin); !isOk(status)) return status;
  const Fd file(support::steps::create(pin.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC, 0444));
  if (!file) {
    return errnoFailure(errno, {"create ", pin,
                                " to pin the pod's network namespace at (a pin "
                                "left by an earlier pod must be unmounted and removed first)"});
  }
  const std::string source = concat({"/proc/", Number(helper), "/ns/net"});
  if (support::steps::mount(source.c_str(), pin.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    const int error = errno;
    support::steps::unlink(pin.c_str());
    return errnoFailure(error, {"pin the pod's network namespace at ", pin});
  }
  return {};
}

Status hold(pid_t process, const char* name, NamespaceMode mode, Fd& fd) {
  if (!wants(mode)) return {};
  const std::string path = concat({"/proc/", Number(process), "/ns/", name});
  fd.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errnoFailure(errno, {"open the pod's ", name, " namespace ", path});
  return {};
}

Status receiveReport(int channel, const protocol::StartRequest& config, Report& report) {
  ssize_t size = 0;
  do {
    size = recv(channel, &report, sizeof report, 0);
  } while (size < 0 && errno == EINTR);
  if (size != static_cast<ssize_t>(sizeof report)) {
    return failure(Code::kInternal,
                   {"make the namespaces of pod ", config.podId, ": the helper process died"});
  }
  return report.error == 0 ? Status{} : reportedFailure(config, report);
}

Status takeHold(const protocol::StartRequest& config, pid_t helper, int channel,
                PodNamespaces& namespaces) {
  Report report;
  Status status = receiveReport(channel, config, report);
  if (isOk(status) && wants(config.user)) {
    status = writeMap(helper, "uid_map", config.uidMappings);
    if (isOk(status)) status = writeMap(helper, "gid_map", config.gidMappings);
    if (!isOk(status)) return status;
    const char go = 1;
    send(channel, &go, 1, MSG_NOSIGNAL);
    status = receiveReport(channel, config, report);
  }
  if (!isOk(status)) return status;
  namespaces.initPid = report.initPid;
  support::durableStep("make namespaces");
  if (status = hold(helper, "ipc", config.ipc, namespaces.ipc); !isOk(status)) return status;
  if (status = hold(helper, "uts", config.uts, namespaces.uts); !isOk(status)) return status;
  if (status = hold(helper, "user", config.user, namespaces.user); !isOk(status)) return status;
  // The init, which lives in it, lets nobody look at it.
  status = hold(helper, "pid_for_children", config.pid, namespaces.pid);
  if (!isOk(status)) return status;
  return wants(config.net) ? pinNetwork(helper, config.netPin) : Status{};
}

Status sysctlPaths(const protocol::StartRequest& config, std::vector<std::string>& paths) {
  for (const protocol::Sysctl& sysctl : config.sysctls) {
    paths.emplace_back();
    if (Status status = sysctlPath(config, sysctl.name, paths.back()); !isOk(status)) {
      return status;
    }
  }
  return {};
}

}  // namespace

Status makeNamespaces(Context& context, PodNamespaces& namespaces) {
  const protocol::StartRequest& config = context.config;
  std::vector<std::string> paths;
  if (Status status = sysctlPaths(config, paths); !isOk(status)) return status;
  if (unshareFlags(config) == 0 && !wants(config.user)) return {};

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return errnoFailure(errno, {"make a socket pair"});
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t helper = fork();
  if (helper < 0) return errnoFailure(errno, {"fork the helper that makes the pod's namespaces"});
  if (helper == 0) {
    ours.reset();
    Helper(config, paths, theirs.get()).run();
  }
  support::durableStep("fork", "namespace helper");
  theirs.reset();
  Status status = takeHold(config, helper, ours.get(), namespaces);
  if (isOk(status)) {
    const char taken = 1;
    send(ours.get(), &taken, 1, MSG_NOSIGNAL);
  }
  ours.reset();  // the helper ends
  while (waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!isOk(status) && namespaces.initPid != 0) {
    kill(namespaces.initPid, SIGKILL);
    while (waitpid(namespaces.initPid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return status;
}

}  // namespace berth::runc::monitor
