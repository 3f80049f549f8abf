#include "steps.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <climits>

#include "canonical.hpp"

namespace berth::crash {
namespace {

constexpr size_t kPage = 4096;
constexpr uint64_t kReplaceRules = 64;  // IPT_SO_SET_REPLACE and its like for IPv6
constexpr uint16_t kBatch = 0x10;       // NFNL_MSG_BATCH_BEGIN
constexpr uint64_t kAttachProgram = 8;  // BPF_PROG_ATTACH

bool readMemory(pid_t thread, uint64_t address, void* to, size_t size) {
  iovec local{to, size};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address in another process.
  iovec remote{reinterpret_cast<void*>(address), size};
  return process_vm_readv(thread, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

// A string ends before the page behind it may be missing.
std::string readText(pid_t thread, uint64_t address) {
  std::string text;
  while (address != 0 && text.size() < PATH_MAX) {
    char part[kPage];
    const size_t size = kPage - address % kPage;
    if (!readMemory(thread, address, part, size)) break;
    const void* end = memchr(part, '\0', size);
    if (end != nullptr) {
      return text.append(part, static_cast<size_t>(static_cast<const char*>(end) - part));
    }
    text.append(part, size);
    address += size;
  }
  return text;
}

std::string programOf(pid_t thread) {
  std::string name;
  std::ifstream stream("/proc/" + std::to_string(thread) + "/comm");
  std::getline(stream, name);
  return name;
}

// What a file descriptor stands for, when it is a file that stays: no pipe, socket or device, and
// none that is in memory alone.
std::string fileOf(pid_t thread, uint64_t descriptor) {
  std::string path = linkOf(thread, "fd/" + std::to_string(descriptor));
  const bool stays = path.starts_with("/") && !path.starts_with("/dev/") &&
                     !path.starts_with("/memfd:") && !path.ends_with(" (deleted)");
  return stays ? path : "";
}

pid_t processOf(pid_t thread) {
  std::ifstream stream("/proc/" + std::to_string(thread) + "/status");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("Tgid:")) return static_cast<pid_t>(atoi(line.c_str() + 5));
  }
  return thread;
}

// The protocol of a netlink socket, or -1 for what is none. It may stand in another network
// namespace than the thread does, so it is asked itself.
int netlinkProtocol(pid_t thread, uint64_t descriptor) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, processOf(thread), 0));
  if (process < 0) return -1;
  const int socket = static_cast<int>(syscall(SYS_pidfd_getfd, process, descriptor, 0));
  close(process);
  if (socket < 0) return -1;
  int domain = 0;
  int protocol = -1;
  socklen_t size = sizeof domain;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_NETLINK ||
      getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0) {
    protocol = -1;
  }
  close(socket);
  return protocol;
}

// The method of systemd's that a message of D-Bus calls, if it changes something. A field of a
// message's header is a code (3: the method), a signature (1, 's', 0), a length and the text.
std::string callOf(pid_t thread, uint64_t address, uint64_t length) {
  static constexpr std::string_view kBegin("l\1", 2);
  static constexpr std::string_view kMethod("\3\1s\0", 4);
  char text[512];
  length = std::min<uint64_t>(length, sizeof text);
  if (!readMemory(thread, address, text, length)) return "";
  const std::string_view message(text, length);
  const size_t at = message.find(kMethod);
  if (!message.starts_with(kBegin) || at == std::string_view::npos) return "";
  const std::string_view rest = message.substr(at + kMethod.size());
  for (const std::string_view method :
       {"StartTransientUnit", "StopUnit", "ResetFailedUnit", "SetUnitProperties"}) {
    if (rest.size() > 4 + method.size() && rest.substr(4).starts_with(method)) {
      return std::string(method);
    }
  }
  return "";
}

// The kind of a request by netlink that changes something.
std::string requestOf(pid_t thread, uint64_t socket, uint64_t address, uint64_t length) {
  const int protocol = netlinkProtocol(thread, socket);
  nlmsghdr header{};
  if (length < sizeof header || !readMemory(thread, address, &header, sizeof header)) return "";
  if (protocol == NETLINK_NETFILTER) return header.nlmsg_type == kBatch ? "batch of rules" : "";
  if (protocol != NETLINK_ROUTE || header.nlmsg_type < RTM_BASE) return "";
  static constexpr const char* kVerbs[] = {"new", "delete", nullptr, "set"};
  static constexpr const char* kObjects[] = {"link", "address", "route", "neighbour", "rule"};
  const size_t type = header.nlmsg_type - RTM_BASE;
  const char* verb = kVerbs[type % std::size(kVerbs)];
  if (verb == nullptr) return "";
  const size_t object = type / std::size(kVerbs);
  return std::string(verb) + " " + (object < std::size(kObjects) ? kObjects[object] : "other");
}

// The first part of what sendmsg(2) is to send.
iovec partOf(pid_t thread, uint64_t address) {
  msghdr header{};
  iovec part{};
  if (!readMemory(thread, address, &header, sizeof header) || header.msg_iovlen == 0 ||
      !readMemory(thread, reinterpret_cast<uint64_t>(header.msg_iov), &part, sizeof part)) {
    return {};
  }
  return part;
}

bool makesProcess(pid_t thread, const Call& call) {
  uint64_t flags = call.arguments[0];
  if (call.number == SYS_clone3 && !readMemory(thread, call.arguments[0], &flags, sizeof flags)) {
    return false;
  }
  return (flags & CLONE_THREAD) == 0;
}

struct Parts {
  const char* call;  // null: nothing that stays
  std::string subject;
};

// Without the letters of a temporary name of mkstemp(3), as runc has one.
std::string withoutRandomLetters(std::string path) {
  static constexpr std::string_view kPrefix = "/runc.";
  static constexpr size_t kLetters = 6;
  const size_t at = path.rfind('/');
  if (at != std::string::npos && path.compare(at, kPrefix.size(), kPrefix) == 0 &&
      path.size() == at + kPrefix.size() + kLetters) {
    path.replace(at + kPrefix.size(), kLetters, "RANDOM");
  }
  return path;
}

Parts partsOf(pid_t thread, const Call& call) {
  const auto& values = call.arguments;
  const auto text = [&](size_t argument) { return readText(thread, values[argument]); };
  const auto unless = [](const char* name, std::string subject) {
    return Parts{subject.empty() ? nullptr : name, std::move(subject)};
  };
  const auto sent = [&](uint64_t address, uint64_t length) {
    std::string method = callOf(thread, address, length);
    return method.empty() ? unless("netlink", requestOf(thread, values[0], address, length))
                          : Parts{"ask systemd", std::move(method)};
  };
  switch (call.number) {
    case SYS_mount:
      return {"mount", text(1)};
    case SYS_umount2:
      return {"unmount", text(0)};
    case SYS_move_mount:
      return {"attach mount", text(3)};
    case SYS_pivot_root:
      return {"pivot_root", ""};
    case SYS_mkdir:
      return {"mkdir", text(0)};
    case SYS_mkdirat:
      return {"mkdir", text(1)};
    case SYS_rmdir:
      return {"rmdir", text(0)};
    case SYS_unlink:
      return {"unlink", text(0)};
    case SYS_unlinkat:
      return {(values[2] & AT_REMOVEDIR) != 0 ? "rmdir" : "unlink", text(1)};
    case SYS_rename:
      return {"rename", text(1)};
    case SYS_renameat:
    case SYS_renameat2:
      return {"rename", text(3)};
    case SYS_symlink:
      return {"symlink", text(1)};
    case SYS_symlinkat:
      return {"symlink", text(2)};
    case SYS_link:
      return {"link", text(1)};
    case SYS_linkat:
      return {"link", text(3)};
    case SYS_mknod:
      return {"mknod", text(0)};
    case SYS_mknodat:
      return {"mknod", text(1)};
    case SYS_open:
      return {(values[1] & O_CREAT) != 0 ? "create" : nullptr, text(0)};
    case SYS_openat:
      return {(values[2] & O_CREAT) != 0 ? "create" : nullptr, text(1)};
    case SYS_write:
    case SYS_pwrite64: {
      std::string file = fileOf(thread, values[0]);
      return file.empty() ? unless("ask systemd", callOf(thread, values[1], values[2]))
                          : Parts{"write", std::move(file)};
    }
    case SYS_clone:
    case SYS_clone3:
      return {makesProcess(thread, call) ? "start process" : nullptr, ""};
    case SYS_fork:
    case SYS_vfork:
      return {"start process", ""};
    case SYS_execve:
      return {"execve", text(0)};
    case SYS_execveat:
      return {"execve", text(1)};
    case SYS_unshare:
      // Threads that want nothing of others' (CLONE_FS, CLONE_FILES) make nothing.
      return {(values[0] & ~uint64_t{CLONE_FS | CLONE_FILES}) != 0 ? "unshare" : nullptr, ""};
    case SYS_kill:
      return {values[1] != 0 ? "kill" : nullptr, ""};
    case SYS_setsockopt:
      return {values[2] == kReplaceRules && values[1] != SOL_SOCKET ? "replace rules" : nullptr,
              ""};
    case SYS_bpf:
      return {values[0] == kAttachProgram ? "attach program" : nullptr, ""};
    case SYS_sendto:
      return sent(values[1], values[2]);
    case SYS_sendmsg: {
      const iovec part = partOf(thread, values[1]);
      return sent(reinterpret_cast<uint64_t>(part.iov_base), part.iov_len);
    }
    default:
      return {nullptr, ""};
  }
}

}  // namespace

std::string linkOf(pid_t thread, const std::string& entry) {
  char text[PATH_MAX];
  const std::string path = "/proc/" + std::to_string(thread) + "/" + entry;
  const ssize_t length = readlink(path.c_str(), text, sizeof text);
  return length < 0 ? "" : std::string(text, static_cast<size_t>(length));
}

std::string nameOf(pid_t thread, const Call& call) {
  const Parts parts = partsOf(thread, call);
  if (parts.call == nullptr) return "";
  Name name;
  name.addCanonical(programOf(thread).c_str());
  name.add(' ');
  name.add(parts.call);
  name.add('\t');
  name.addCanonical(withoutRandomLetters(parts.subject).c_str());
  return name.text();
}

}  // namespace berth::crash
