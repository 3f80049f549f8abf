#include "keeper_client.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "berth/support/files.hpp"
#include "berth/support/lock_holders.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::kata {

using support::strCat;

namespace {

constexpr size_t kMaxWords = 512;

absl::Status gone() {
  return absl::UnavailableError("the pod's keeper is gone");
}

// Whether the one at the socket's other end is who holds the keeper's folder.
bool isKeeper(const support::Fd& socket, const support::Fd& folder) {
  ucred peer{};
  socklen_t size = sizeof peer;
  struct stat info = {};
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         ::fstat(folder.get(), &info) == 0 && support::holdsLock(peer.pid, info);
}

absl::StatusOr<keeper::Reply> receive(const support::Fd& socket) {
  std::string packet(keeper::kMaxPacket, '\0');
  const ssize_t count = ::recv(socket.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return absl::NotFoundError("the keeper has said nothing");
  }
  if (count <= 0) return gone();
  keeper::Reply reply;
  if (!keeper::decode(std::string_view(packet).substr(0, static_cast<size_t>(count)), reply)) {
    return absl::InternalError("the keeper's answer is malformed");
  }
  return reply;
}

absl::Status send(const support::Fd& socket, const std::string& packet, const Streams& streams) {
  iovec part{.iov_base = const_cast<char*>(packet.data()),  // NOLINT: sendmsg only reads
             .iov_len = packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  int fds[3];
  size_t count = 0;
  for (const int fd : {streams.input, streams.output, streams.error}) {
    if (fd >= 0) fds[count++] = fd;
  }
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  // The one packet that waits for an answer always has room.
  while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return gone();
    return support::errnoStatus(errno, "ask the pod's keeper");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status startKeeper(const KeeperStart& start, const CallLimits& limits) {
  support::Command command;
  command.argv = {start.program, "start",       start.pod,     start.directory,
                  start.events,  start.logFifo, start.logFile, std::to_string(start.oomScoreAdj)};
  const auto output =
      support::run(command, {}, {.deadline = limits.deadline, .cancelFd = limits.cancelFd});
  if (!output.ok()) return support::annotate(output.status(), "start the pod's keeper");
  absl::Status served = KeeperClient(start.directory).checkVersion(start.pod, limits);
  // One that served already holds its folder's lock, at which another fails.
  if (output->exitCode == 0 || served.ok() || absl::IsFailedPrecondition(served)) return served;
  return absl::InternalError(
      strCat("start the pod's keeper: ", support::oneLine(output->standardError, kMaxWords)));
}

absl::StatusOr<support::Fd> KeeperClient::connect(const CallLimits& limits) const {
  const std::string doing = strCat("connect to the keeper in ", directory_);
  const auto folder = support::openFile(directory_, O_PATH | O_DIRECTORY);
  if (absl::IsNotFound(folder.status())) return gone();
  BERTH_RETURN_IF_ERROR(folder.status());
  // Through its descriptor, so that the path's length does not matter.
  const std::string path = strCat("/proc/self/fd/", folder->get(), "/", keeper::kSocketName);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  support::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return support::errnoStatus(errno, doing);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),  // NOLINT
                   sizeof address) != 0) {
    // EPROTOTYPE: a socket that no keeper has made.
    if (errno == ENOENT || errno == ECONNREFUSED || errno == EPROTOTYPE) return gone();
    if (errno != EAGAIN && errno != EINTR) return support::errnoStatus(errno, doing);
    // Its queue is full, and nobody tells when it is so no more.
    absl::Status paused = waitFor(-1, 0, within(limits, std::chrono::milliseconds(5)), doing);
    if (!absl::IsDeadlineExceeded(paused) || pollTimeout(limits) == 0) return paused;
  }
  if (!isKeeper(socket, *folder)) return gone();
  return socket;
}

absl::StatusOr<keeper::Reply> KeeperClient::list(std::string_view pod,
                                                 const CallLimits& limits) const {
  BERTH_ASSIGN_OR_RETURN(keeper::Reply reply,
                         call({.operation = keeper::Operation::kList}, limits));
  if (reply.version >= keeper::kOldestVersion && reply.version <= keeper::kVersion) return reply;
  return absl::FailedPreconditionError(strCat("the keeper of pod ", pod, " speaks version ",
                                              reply.version, " of its protocol; this plugin knows ",
                                              keeper::kOldestVersion, " to ", keeper::kVersion,
                                              ": use the plugin that started it"));
}

absl::StatusOr<keeper::Reply> KeeperClient::call(const keeper::Request& request,
                                                 const CallLimits& limits,
                                                 const Streams& streams) const {
  BERTH_ASSIGN_OR_RETURN(const support::Fd socket, connect(limits));
  return ask(socket, request, limits, streams);
}

absl::StatusOr<keeper::Reply> KeeperClient::ask(const support::Fd& connection,
                                                const keeper::Request& request,
                                                const CallLimits& limits, const Streams& streams) {
  BERTH_RETURN_IF_ERROR(send(connection, keeper::encode(request), streams));
  for (;;) {
    BERTH_RETURN_IF_ERROR(waitFor(connection.get(), POLLIN, limits, "wait for the pod's keeper"));
    auto reply = receive(connection);
    if (absl::IsNotFound(reply.status())) continue;
    BERTH_RETURN_IF_ERROR(reply.status());
    if (streams::isOk(reply->status)) return reply;
    return absl::Status(static_cast<absl::StatusCode>(reply->status.code), reply->status.message);
  }
}

absl::StatusOr<support::Fd> KeeperClient::subscribe(const CallLimits& limits) const {
  BERTH_ASSIGN_OR_RETURN(support::Fd socket, connect(limits));
  const keeper::Request request{.operation = keeper::Operation::kSubscribe};
  BERTH_RETURN_IF_ERROR(send(socket, keeper::encode(request), {}));
  BERTH_RETURN_IF_ERROR(waitFor(socket.get(), POLLIN, limits, "wait for the pod's keeper"));
  BERTH_RETURN_IF_ERROR(receive(socket).status());
  return socket;
}

absl::StatusOr<keeper::Reply> KeeperClient::nextEvent(const support::Fd& subscription) {
  return receive(subscription);
}

absl::Status KeeperClient::shutDown(const CallLimits& limits) const {
  const absl::Status told = call({.operation = keeper::Operation::kShutDown}, limits).status();
  if (absl::IsUnavailable(told)) return endUnreachable(limits).status();
  BERTH_RETURN_IF_ERROR(told);
  return awaitEnd(limits);
}

absl::StatusOr<bool> KeeperClient::endUnreachable(const CallLimits& limits) const {
  const auto folder = support::openFile(directory_, O_RDONLY | O_DIRECTORY);
  if (absl::IsNotFound(folder.status())) return false;
  BERTH_RETURN_IF_ERROR(folder.status());
  if (::flock(folder->get(), LOCK_EX | LOCK_NB) == 0) return false;
  struct stat info = {};
  if (::fstat(folder->get(), &info) != 0) return support::errnoStatus(errno, directory_);
  support::killProcesses([&](pid_t pid) { return support::holdsLock(pid, info); });
  BERTH_RETURN_IF_ERROR(awaitEnd(limits));
  return true;
}

// It holds the folder's lock until it ends.
absl::Status KeeperClient::awaitEnd(const CallLimits& limits) const {
  const auto folder = support::openFile(directory_, O_RDONLY | O_DIRECTORY);
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(folder.status());
  while (::flock(folder->get(), LOCK_EX | LOCK_NB) != 0) {
    absl::Status paused = waitFor(-1, 0, within(limits, std::chrono::milliseconds(2)),
                                  "wait for the end of the pod's keeper");
    if (!absl::IsDeadlineExceeded(paused) || pollTimeout(limits) == 0) return paused;
  }
  return absl::OkStatus();
}

}  // namespace berth::kata
