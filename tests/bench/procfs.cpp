#include "procfs.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::bench {
namespace {

std::string procPath(pid_t pid, absl::string_view file) {
  return absl::StrCat("/proc/", pid, "/", file);
}

bool fileHolds(pid_t pid, absl::string_view file, absl::string_view text) {
  const auto content = support::readFile(procPath(pid, file));
  return content.ok() && absl::StrContains(*content, text);
}

absl::StatusOr<uint64_t> readKibibytes(pid_t pid, absl::string_view file, absl::string_view name) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(procPath(pid, file)));
  auto value = parseKibibytes(text, name);
  if (!value.ok()) return support::annotate(value.status(), procPath(pid, file));
  return value;
}

// Lines of maps, and the first of each mapping in smaps, start with an address range; the others of
// smaps with a name in capitals.
bool isMappingHead(absl::string_view line) {
  return !line.empty() && absl::ascii_isxdigit(static_cast<unsigned char>(line[0])) &&
         !absl::ascii_isupper(static_cast<unsigned char>(line[0]));
}

// Empty for anonymous memory.
std::string mappedFile(absl::string_view line) {
  const size_t path = line.find('/');
  if (!isMappingHead(line) || path == absl::string_view::npos) return {};
  return std::string(line.substr(path));
}

// The fields of /proc/self/mountinfo that are of interest (proc_pid_mountinfo(5)).
struct MountLine {
  std::string target;
  std::string type;
};

absl::StatusOr<std::vector<MountLine>> readMounts() {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile("/proc/self/mountinfo"));
  std::vector<MountLine> mounts;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> fields = absl::StrSplit(halves.first, ' ');
    const std::vector<absl::string_view> rest = absl::StrSplit(halves.second, ' ');
    if (fields.size() < 5 || rest.empty()) continue;
    mounts.push_back({unescapeMountPath(fields[4]), std::string(rest[0])});
  }
  return mounts;
}

}  // namespace

absl::StatusOr<ProcessStat> parseProcessStat(absl::string_view text) {
  const size_t bracket = text.rfind(')');
  if (bracket == absl::string_view::npos) {
    return absl::InvalidArgumentError("a process's stat line without the program's name");
  }
  // From the third field of proc_pid_stat(5) on: state, ppid, …
  const std::vector<absl::string_view> fields =
      absl::StrSplit(text.substr(bracket + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  constexpr size_t kParent = 1;
  constexpr size_t kUserTime = 11;  // followed by stime, cutime, cstime
  constexpr size_t kStartTime = 19;
  ProcessStat stat;
  bool good = fields.size() > kStartTime && absl::SimpleAtoi(fields[kParent], &stat.parent) &&
              absl::SimpleAtoi(fields[kStartTime], &stat.startTicks);
  for (size_t i = kUserTime; good && i < kUserTime + 4; ++i) {
    uint64_t ticks = 0;
    good = absl::SimpleAtoi(fields[i], &ticks);
    stat.cpuTicks += ticks;
  }
  if (!good) {
    return absl::InvalidArgumentError("a process's stat line with missing or malformed numbers");
  }
  return stat;
}

absl::StatusOr<uint64_t> parseKibibytes(absl::string_view text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, name) || !absl::ConsumePrefix(&line, ":")) continue;
    line = absl::StripAsciiWhitespace(line);
    uint64_t value = 0;
    if (absl::ConsumeSuffix(&line, " kB") && absl::SimpleAtoi(line, &value)) return value;
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no number of kB"));
  }
  return absl::NotFoundError(absl::StrCat("no line \"", name, "\""));
}

std::string unescapeMountPath(absl::string_view text) {
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t offset) { return text[i + offset] - '0'; };
    const bool escaped = text[i] == '\\' && i + 3 < text.size() &&
                         std::all_of(text.begin() + i + 1, text.begin() + i + 4,
                                     [](char c) { return c >= '0' && c <= '7'; });
    if (!escaped) {
      path += text[i];
      continue;
    }
    path += static_cast<char>(digit(1) * 64 + digit(2) * 8 + digit(3));
    i += 3;
  }
  return path;
}

absl::StatusOr<ProcessStat> readProcessStat(pid_t pid) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(procPath(pid, "stat")));
  return parseProcessStat(text);
}

std::set<ProcessId> listProcesses() {
  std::set<ProcessId> processes;
  const auto names = support::listDirectory("/proc");
  if (!names.ok()) return processes;
  for (const std::string& name : *names) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    const auto stat = readProcessStat(pid);
    if (stat.ok()) processes.insert({pid, stat->startTicks});
  }
  return processes;
}

std::set<std::string> mappedFiles(absl::string_view maps) {
  std::set<std::string> files;
  for (const absl::string_view line : absl::StrSplit(maps, '\n')) {
    const std::string file = mappedFile(line);
    if (!file.empty()) files.insert(file);
  }
  return files;
}

absl::StatusOr<uint64_t> parseProportional(absl::string_view smaps,
                                           const std::set<std::string>& observer) {
  uint64_t total = 0;
  bool shared = false;
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(smaps, '\n')) {
    if (isMappingHead(line)) shared = observer.contains(mappedFile(line));
    const auto size = parseKibibytes(line, shared ? "Rss" : "Pss");
    if (absl::IsInvalidArgument(size.status())) return size.status();
    if (!size.ok()) continue;
    found = true;
    total += *size;
  }
  if (!found) return absl::NotFoundError("no memory mappings");
  return total;
}

absl::StatusOr<uint64_t> proportionalKibibytes(pid_t pid) {
  BERTH_ASSIGN_OR_RETURN(const std::string own, support::readFile("/proc/self/maps"));
  BERTH_ASSIGN_OR_RETURN(const std::string smaps, support::readFile(procPath(pid, "smaps")));
  auto size = parseProportional(smaps, mappedFiles(own));
  if (!size.ok()) return support::annotate(size.status(), procPath(pid, "smaps"));
  return size;
}

absl::StatusOr<uint64_t> peakResidentKibibytes(pid_t pid) {
  return readKibibytes(pid, "status", "VmHWM");
}

absl::Status resetPeakResident(pid_t pid) {
  // 5 resets the peak alone (proc_pid_clear_refs(5)).
  return support::writeControlFile(procPath(pid, "clear_refs"), "5");
}

absl::StatusOr<double> cpuSeconds(pid_t pid) {
  BERTH_ASSIGN_OR_RETURN(const ProcessStat stat, readProcessStat(pid));
  return static_cast<double>(stat.cpuTicks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

absl::StatusOr<double> ownCpuSeconds(pid_t pid) {
  clockid_t clock = 0;
  timespec used{};
  int error = ::clock_getcpuclockid(pid, &clock);
  if (error == 0 && ::clock_gettime(clock, &used) != 0) error = errno;
  // So the clock of a process that has gone answers (clock_gettime(2)).
  if (error == EINVAL) error = ESRCH;
  if (error != 0) return support::errnoStatus(error, absl::StrCat("CPU time of process ", pid));
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

absl::StatusOr<uint64_t> bytesWritten(pid_t pid) {
  const std::string path = procPath(pid, "io");
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(path));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    uint64_t value = 0;
    if (absl::ConsumePrefix(&line, "write_bytes: ") && absl::SimpleAtoi(line, &value)) return value;
  }
  return absl::NotFoundError(absl::StrCat(path, ": no line \"write_bytes\""));
}

std::string programName(pid_t pid) {
  std::string target(4096, '\0');
  const ssize_t length = ::readlink(procPath(pid, "exe").c_str(), target.data(), target.size());
  if (length <= 0) return {};
  absl::string_view name = absl::string_view(target).substr(0, static_cast<size_t>(length));
  absl::ConsumeSuffix(&name, " (deleted)");
  return std::string(name.substr(name.rfind('/') + 1));
}

bool environmentHolds(pid_t pid, absl::string_view text) {
  return fileHolds(pid, "environ", text);
}
bool commandLineHolds(pid_t pid, absl::string_view text) {
  return fileHolds(pid, "cmdline", text);
}
bool cgroupHolds(pid_t pid, absl::string_view text) {
  return fileHolds(pid, "cgroup", text);
}

bool descendsFrom(pid_t pid, pid_t ancestor) {
  while (pid > 1) {
    const auto stat = readProcessStat(pid);
    if (!stat.ok()) return false;
    if (stat->parent == ancestor) return true;
    pid = stat->parent;
  }
  return false;
}

absl::Status killAndAwait(const ProcessId& process) {
  const support::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!pidfd) return absl::OkStatus();  // gone
  const auto stat = readProcessStat(process.pid);
  if (!stat.ok() || stat->startTicks != process.startTicks) return absl::OkStatus();
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return support::errnoStatus(errno, absl::StrCat("kill process ", process.pid));
  }
  pollfd awaited{pidfd.get(), POLLIN, 0};
  if (::poll(&awaited, 1, 5000) == 1) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("process ", process.pid, " still lives five seconds after SIGKILL"));
}

absl::StatusOr<pid_t> listenerPid(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path too long: ", socket));
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const support::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return support::errnoStatus(errno, "make a Unix socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return support::errnoStatus(errno, absl::StrCat("connect to ", socket));
  }
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return support::errnoStatus(errno, absl::StrCat("read the credentials of ", socket));
  }
  return peer.pid;
}

absl::StatusOr<std::vector<std::string>> mountsBelow(const std::string& directory) {
  BERTH_ASSIGN_OR_RETURN(const auto mounts, readMounts());
  std::vector<std::string> targets;
  for (const MountLine& mount : mounts) {
    const bool below =
        mount.target == directory || absl::StartsWith(mount.target, absl::StrCat(directory, "/"));
    if (below) targets.push_back(mount.target);
  }
  return targets;
}

absl::StatusOr<std::vector<std::string>> cgroupMounts() {
  BERTH_ASSIGN_OR_RETURN(const auto mounts, readMounts());
  std::vector<std::string> targets;
  for (const MountLine& mount : mounts) {
    if (mount.type == "cgroup" || mount.type == "cgroup2") targets.push_back(mount.target);
  }
  return targets;
}

}  // namespace berth::bench
